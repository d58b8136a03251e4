"""The connection of a client: retries by gRPC's own policy, TLS, limits."""

import json
from pathlib import Path
from typing import Any

import grpc

from serving import wire
from tfrec.errors import DataError, SettingsError

MOST_RETRIES = 4  # gRPC itself stops at five attempts


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


def open_channel(target: str, *, retries: int, tls: bool | str | Path, max_message_mb: int) -> Any:
    """Opens a channel, which connects on the first call.

    Args:
        target: `host:port`, or any name that gRPC resolves.
        retries: further attempts of a call that found no server.
        tls: False for plain text; True for TLS with the machine's certificate authorities; a PEM file of the
            authorities to trust instead.
        max_message_mb: the largest request and answer, in MiB.

    Raises:
        SettingsError: `retries` or `max_message_mb` is out of range.
        DataError: the PEM file cannot be read.
    """
    if max_message_mb < 1:
        raise SettingsError(f"max_message_mb: expected at least 1, found {max_message_mb}.")
    options = [
        ("grpc.service_config", service_config(retries)),
        ("grpc.enable_retries", int(retries > 0)),
        ("grpc.max_send_message_length", max_message_mb << 20),
        ("grpc.max_receive_message_length", max_message_mb << 20),
    ]
    if tls is False:
        return grpc.insecure_channel(target, options)
    try:
        roots = None if tls is True else Path(tls).read_bytes()
    except OSError as error:
        raise DataError(f"tls: {tls} cannot be read: {error.strerror}.") from error
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options)
