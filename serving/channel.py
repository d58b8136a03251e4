"""The connection of a client: balancing and retries by gRPC's own policies, keep-alive, limits, TLS."""

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
    """gRPC's service config.

    Calls take turns among all addresses of the target; one that is gone is left out until it is back. A call
    that finds no server is tried again, after 0.1 s, 0.2 s, 0.4 s … with jitter. Only UNAVAILABLE is: any
    other answer would be the same again, or add load to an overload.

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
    return json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [method]})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where calls go, and how; every channel of it connects on its first call.

    Attributes:
        target: `host:port`; or a name that gRPC resolves to one or more addresses, among which calls take
            turns: `dns:///name:port`, `ipv4:10.0.0.1:8500,10.0.0.2:8500`, `unix:/path`.
        options: gRPC's channel arguments.
        credentials: None for plain text.
    """

    target: str
    options: tuple[tuple[str, Any], ...]
    credentials: grpc.ChannelCredentials | None

    @classmethod
    def of(
        cls, target: str, *, retries: int, tls: bool | str | Path | Tls, max_message_mb: int
    ) -> "Endpoint":
        """An endpoint from a client's settings.

        Args:
            target: see above.
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
        options = (
            ("grpc.service_config", service_config(retries)),
            ("grpc.enable_retries", int(retries > 0)),
            ("grpc.max_send_message_length", max_message_mb << 20),
            ("grpc.max_receive_message_length", max_message_mb << 20),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            ("grpc.client_idle_timeout_ms", IDLE_MS),
            ("grpc.initial_reconnect_backoff_ms", FIRST_RECONNECT_MS),
            ("grpc.max_reconnect_backoff_ms", LAST_RECONNECT_MS),
        )
        return cls(target, options, _credentials(tls))

    def open(self) -> grpc.Channel:
        """A channel whose calls block."""
        if self.credentials is None:
            return grpc.insecure_channel(self.target, self.options)
        return grpc.secure_channel(self.target, self.credentials, self.options)

    def open_async(self) -> grpc.aio.Channel:
        """A channel of the event loop that runs."""
        if self.credentials is None:
            return grpc.aio.insecure_channel(self.target, self.options)
        return grpc.aio.secure_channel(self.target, self.credentials, self.options)


def _credentials(tls: bool | str | Path | Tls) -> grpc.ChannelCredentials | None:
    if tls is False:
        return None
    if not isinstance(tls, Tls):
        tls = Tls() if tls is True else Tls(tls)
    return tls.credentials()


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
