"""The server's side of TLS."""

import ssl
from pathlib import Path
from typing import Any

import grpc

from tfrec.errors import DataError, SettingsError


def server_credentials(certificate: Path | None, key: Path | None, client_ca: Path | None = None) -> Any:
    """Returns gRPC's form of a certificate and its private key; None where there are none.

    Args:
        certificate: PEM file.
        key: PEM file, without a password.
        client_ca: PEM file of the authorities of which a client needs a certificate; None: it needs none.

    Raises:
        DataError: a file cannot be read.
        SettingsError: they are no PEM certificate and its key, or no authorities.
    """
    if certificate is None or key is None:
        return None
    try:
        # gRPC would only say that it cannot bind. The password is for keys that ask for one: there is none.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
        pair = (key.read_bytes(), certificate.read_bytes())
    except ssl.SSLError as error:
        raise SettingsError(
            f"tls_cert {certificate} and tls_key {key} are no PEM certificate and its private key without a "
            f"password ({error.reason or error})."
        ) from error
    except OSError as error:
        raise DataError(
            f"{error.filename or f'{certificate} or {key}'} cannot be read: {error.strerror}."
        ) from error
    if client_ca is None:
        return grpc.ssl_server_credentials([pair])
    return grpc.ssl_server_credentials([pair], _authorities(client_ca), require_client_auth=True)


def _authorities(path: Path) -> bytes:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_verify_locations(path)
        return path.read_bytes()
    except ssl.SSLError as error:
        raise SettingsError(
            f"tls_client_ca {path} is no PEM file of certificates ({error.reason or error})."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
