"""The connection of a client: retries by gRPC's own policy, keep-alive, limits, TLS."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from serving import wire
from tfrec.errors import DataError, SettingsError

MOST_RETRIES = 4  # gRPC itself stops at five attempts

# Servers of gRPC hang up on clients that ask more often than every five minutes whether they are there.
# With keep-alive on, the kernel too (TCP_USER_TIMEOUT) gives up a connection whose data nobody confirms
# within the timeout; without, calls would go on failing in it for a quarter of an hour.
KEEPALIVE_MS = 330_000
KEEPALIVE_TIMEOUT_MS = 20_000
# Load balancers forget a silent connection after some six minutes, and the next call would hang in it.
IDLE_MS = 240_000
# A server that restarts is looked for as often as calls are tried again, not after gRPC's usual second.
FIRST_RECONNECT_MS = 100
LAST_RECONNECT_MS = 5_000


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS in detail; `tls=True` stands for `Tls()`, a path for `Tls(root)`.

    Attributes:
        root: PEM file of the authorities to trust; those of gRPC by default.
        certificate: PEM file of the client's own certificate, where the server asks for one (mutual TLS).
        key: PEM file of its private key.
    """

    root: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("tls: mutual TLS needs both certificate and key, found one of them.")

    def credentials(self) -> grpc.ChannelCredentials:
        """gRPC's form of them.

        Raises:
            DataError: a file cannot be read, or is no PEM.
        """
        return grpc.ssl_channel_credentials(
            _pem(self.root, "root", "CERTIFICATE"),
            _pem(self.key, "key", "PRIVATE KEY"),
            _pem(self.certificate, "certificate", "CERTIFICATE"),
        )


def service_config(retries: int) -> str:
    """gRPC's service config: calls that find no server are tried again, after 0.1 s, 0.2 s, 0.4 s … with
    jitter. Only UNAVAILABLE is: any other answer would be the same again, or add load to an overload.

    Raises:
        SettingsError: gRPC does not try so often.
    """
    if not 0 <= retries <= MOST_RETRIES:
        raise SettingsError(f"retries: expected 0 to {MOST_RETRIES}, found {retries}.")
    method: dict[str, Any] = {"name": [{"service": wire.SERVICE}]}
    if retries:
        method["retryPolicy"] = {
            "maxAttempts": retries + 1,
            "initialBackoff": "0.1s",
            "maxBackoff": "2s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
    return json.dumps({"methodConfig": [method]})


def open_channel(target: str, *, retries: int, tls: bool | str | Path | Tls, max_message_mb: int) -> Any:
    """Opens a channel, which connects on the first call.

    Args:
        target: `host:port`, or any name that gRPC resolves.
        retries: further attempts of a call that found no server.
        tls: False for plain text; True for TLS; a PEM file of the authorities to trust; or `Tls`.
        max_message_mb: the largest request and answer, in MiB.

    Raises:
        SettingsError: a setting is empty or out of range.
        DataError: a PEM file cannot be read.
    """
    if not target:
        raise SettingsError("target: expected host:port, found nothing.")
    if not 1 <= max_message_mb < 2048:
        raise SettingsError(f"max_message_mb: expected 1 to 2047, found {max_message_mb}.")
    options = [
        ("grpc.service_config", service_config(retries)),
        ("grpc.enable_retries", int(retries > 0)),
        ("grpc.max_send_message_length", max_message_mb << 20),
        ("grpc.max_receive_message_length", max_message_mb << 20),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.client_idle_timeout_ms", IDLE_MS),
        ("grpc.initial_reconnect_backoff_ms", FIRST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", LAST_RECONNECT_MS),
    ]
    if tls is False:
        return grpc.insecure_channel(target, options)
    if not isinstance(tls, Tls):
        tls = Tls() if tls is True else Tls(tls)
    return grpc.secure_channel(target, tls.credentials(), options)


def _pem(path: str | Path | None, name: str, kind: str) -> bytes | None:
    """The file's content; gRPC would take any, and fail in each call."""
    if path is None:
        return None
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"tls {name}: {path} cannot be read: {error.strerror}.") from error
    if b"-----BEGIN " not in content or f"{kind}-----".encode() not in content:
        raise DataError(f"tls {name}: {path} is no PEM file of a {kind.lower()}.")
    return content
