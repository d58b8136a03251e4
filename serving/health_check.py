"""Asks a server whether it serves, for a container's health check: `python -m serving.health_check TARGET`.

Exit code 0: it serves; 1: it does not, or nobody answers; 2: a bad call.
"""

import argparse
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.channel import Tls
from tfrec.errors import TfrecError


def complaint(
    target: str,
    *,
    service: str = "",
    tls_root: str = "",
    tls_name: str = "",
    tls_cert: str = "",
    tls_key: str = "",
    timeout_s: float = 3.0,
) -> str:
    """Says what is wrong with the server at `target` by gRPC's health service; empty where it serves.

    Args:
        target: host:port, or unix:/path of a socket.
        service: what to ask for; "" for the server as a whole.
        tls_root: PEM file of the authorities to trust; without it the server is asked in plain text.
        tls_name: the name in the server's certificate, where it is not the target's.
        tls_cert: PEM file of a certificate of our own, where the server asks for one.
        tls_key: PEM file of its private key.
        timeout_s: seconds until it counts as silent.

    Raises:
        DataError: a PEM file cannot be read.
        SettingsError: of `tls_cert` and `tls_key` one is missing.
    """
    options = [("grpc.ssl_target_name_override", tls_name)] if tls_name else []
    if tls_root:
        tls = Tls(tls_root, tls_cert or None, tls_key or None)
        channel = grpc.secure_channel(target, tls.credentials(), options)
    else:
        channel = grpc.insecure_channel(target, options)
    request = health_pb2.HealthCheckRequest(service=service)
    with channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s)
        except grpc.RpcError as error:
            return f"{target}: {error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return f"{target}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the check and returns the exit code."""
    parser = argparse.ArgumentParser(prog="serving.health_check", description="Does a server serve?")
    parser.add_argument("target", nargs="?", default="localhost:8500", help="host:port or unix:/path")
    parser.add_argument("--service", default="", help="what to ask for; the whole server by default")
    parser.add_argument("--tls-root", default="", help="TLS that trusts this PEM certificate")
    parser.add_argument("--tls-name", default="", help="the certificate's name, where not the target's")
    parser.add_argument("--tls-cert", default="", help="PEM certificate to show (mutual TLS)")
    parser.add_argument("--tls-key", default="", help="PEM private key of --tls-cert")
    parser.add_argument("--timeout-s", type=float, default=3.0, help="seconds until it counts as silent")
    options = parser.parse_args(arguments)
    try:
        found = complaint(
            options.target,
            service=options.service,
            tls_root=options.tls_root,
            tls_name=options.tls_name,
            tls_cert=options.tls_cert,
            tls_key=options.tls_key,
            timeout_s=options.timeout_s,
        )
    except TfrecError as error:
        print(error, file=sys.stderr)
        return 2
    if found:
        print(found, file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
