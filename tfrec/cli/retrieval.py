"""`tfrec retrieval`: an index behind gRPC, and the encoder beside it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tfrec.cli import server_options as options
from tfrec.cli.app import needs_extra
from tfrec.cli.logs import LogFormat, write_logs
from tfrec.cli.server_run import run_server


class Fallback(StrEnum):
    """What is answered while the encoder is not there."""

    none = "none"
    popular = "popular"
    last_known = "last-known"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(retrieval)


def retrieval(
    index: Annotated[Path, typer.Argument(help="indexes/NAME, the folder above the version numbers")],
    encoder: Annotated[
        str, typer.Option(help="a TensorFlow Serving with the servable: host:port or unix:/path")
    ] = "",
    servable: Annotated[
        Path | None, typer.Option(help="servables/NAME to load into this process instead")
    ] = None,
    name: Annotated[
        str, typer.Option(help="the model's name in requests and at the encoder; the folder's by default")
    ] = "",
    host: options.Host = "127.0.0.1",
    port: options.Port = 8500,
    socket: Annotated[Path | None, typer.Option(help="a Unix socket to listen on beside it")] = None,
    processes: options.Processes = 1,
    poll_interval_s: options.PollInterval = 2.0,
    max_users: Annotated[
        int, typer.Option(help="users that are being answered, before requests are refused")
    ] = 1024,
    searches: Annotated[
        int | None,
        typer.Option(help="searches that a process makes at the same time; by default they are one a core"),
    ] = None,
    fallback: Annotated[
        Fallback, typer.Option(help="what is answered while the encoder is not there")
    ] = Fallback.none,
    max_batch_size: Annotated[int, typer.Option(help="with --servable: users computed together")] = 16,
    max_batch_events: options.MaxBatchEvents = 2048,
    max_message_mb: options.MaxMessage = 64,
    drain_s: options.Drain = 30.0,
    max_connection_age_s: options.MaxConnectionAge = 0.0,
    encoder_timeout_s: Annotated[
        float, typer.Option(help="seconds after which an encoder that does not answer counts as not there")
    ] = 2.0,
    encoder_tls: Annotated[
        Path | None, typer.Option(help="PEM authorities that vouch for the encoder; plain text without")
    ] = None,
    encoder_cert: Annotated[
        Path | None, typer.Option(help="PEM certificate to show to the encoder (mutual TLS)")
    ] = None,
    encoder_key: Annotated[Path | None, typer.Option(help="PEM private key of --encoder-cert")] = None,
    tls_cert: options.TlsCert = None,
    tls_key: options.TlsKey = None,
    tls_client_ca: options.TlsClientCa = None,
    metrics_port: options.MetricsPort = 0,
    log_format: options.LogForm = LogFormat.TEXT,
    log_requests: options.LogRequests = False,
) -> None:
    """Answer requests by an index: the encoder embeds, the index finds, the encoder ranks.

    Newer versions of the index are taken up as they appear. Ctrl-C or SIGTERM stops it, once the requests
    that run have ended.
    """
    extra = "serve" if servable else "retrieval"
    with needs_extra("retrieval", extra):
        # Before TensorFlow is imported, whose notes it stops.
        write_logs(log_format, of_libraries=processes == 1)
        from serving.retrieval.settings import RetrievalSettings
        from serving.settings import BatchSettings, cores
    share_of_cores = max(cores() // processes, 1)
    settings = RetrievalSettings(
        index=index,
        encoder=encoder,
        servable=servable,
        name=name,
        host=host,
        port=port,
        processes=processes,
        socket=socket,
        poll_interval_s=poll_interval_s,
        drain_s=drain_s,
        max_connection_age_s=max_connection_age_s,
        max_message_mb=max_message_mb,
        max_users=max_users,
        searches=share_of_cores if searches is None else searches,
        fallback=fallback.value,
        encoder_timeout_s=encoder_timeout_s,
        encoder_tls=encoder_tls,
        encoder_cert=encoder_cert,
        encoder_key=encoder_key,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        metrics_port=metrics_port,
        log_requests=log_requests,
        batching=BatchSettings(
            max_batch_size=max_batch_size, max_batch_events=max_batch_events, workers=share_of_cores
        ),
    )

    def started(port: int) -> None:
        # On stdout and alone, so that a script can read where to ask.
        print(f"{settings.model_name} is retrieved on {host}:{port}", flush=True)

    run_server(
        "retrieval",
        "serving.retrieval.server",
        settings,
        started,
        log_format=log_format,
        extra=extra,
    )
