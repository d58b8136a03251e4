"""The server's side of TLS."""

import ssl
from pathlib import Path
from typing import Any

import grpc

from tfrec.errors import DataError, SettingsError


def server_credentials(certificate: Path | None, key: Path | None) -> Any:
    """Returns gRPC's form of a certificate and its private key; None where there are none.

    Raises:
        DataError: a file cannot be read.
        SettingsError: they are no PEM certificate and its key.
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
    return grpc.ssl_server_credentials([pair])
