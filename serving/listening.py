"""The gRPC server under every server of this package: its limits, its connections, its address."""

import contextlib
from typing import Any

import grpc

from serving.credentials import server_credentials
from serving.metrics import Metrics
from serving.observing import Observer
from serving.settings import ListenSettings
from tfrec.errors import SettingsError


def allow_many_connections() -> None:
    """Lets this process open as many files, and so connections, as the system grants it at all.

    Shells begin programs with a soft limit of 1,024, for the sake of those that use select(2).
    """
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not there on Windows

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def grpc_server(settings: ListenSettings, metrics: Metrics) -> Any:
    """Returns gRPC's server of the running event loop; it watches its requests, and listens nowhere yet."""
    limit = settings.max_message_mb << 20
    options = [
        ("grpc.max_receive_message_length", limit),
        ("grpc.max_send_message_length", limit),
        # A port that a stranger has is an error, not a share of its requests.
        ("grpc.so_reuseport", int(settings.processes > 1)),
    ]
    if settings.max_connection_age_s:
        options += [
            ("grpc.max_connection_age_ms", max(1, round(settings.max_connection_age_s * 1e3))),
            ("grpc.max_connection_age_grace_ms", round(settings.drain_s * 1e3)),
        ]
    observer = Observer(metrics, log_requests=settings.log_requests)
    return grpc.aio.server(interceptors=[observer], options=options)


def listen(server: Any, settings: ListenSettings, *sockets: str) -> int:
    """Binds a server to its address, over TLS where it has a certificate, and returns the port.

    Args:
        server: of `grpc_server`.
        settings: say where.
        sockets: addresses besides, `unix:/path`, in plain text.

    Raises:
        DataError: a PEM file cannot be read.
        SettingsError: an address or a certificate cannot be used.
    """
    address = f"{settings.host}:{settings.port}"
    credentials = server_credentials(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    try:
        if credentials is not None:
            port = server.add_secure_port(address, credentials)
        else:
            port = server.add_insecure_port(address)
        for address in sockets:
            server.add_insecure_port(address)
    except RuntimeError as error:
        raise SettingsError(
            f"cannot listen on {address}. Is the port taken? Choose another by --port. ({error})"
        ) from error
    return int(port)
