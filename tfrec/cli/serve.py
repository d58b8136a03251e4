"""`tfrec serve`: a servable behind gRPC."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from tfrec.cli import server_options as options
from tfrec.cli.app import needs_extra
from tfrec.cli.logs import LogFormat, write_logs
from tfrec.cli.server_run import run_server


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(serve)


def serve(
    folder: Annotated[Path, typer.Argument(help="servables/NAME, the folder above the version numbers")],
    name: Annotated[str, typer.Option(help="the model's name in requests; the folder's by default")] = "",
    host: options.Host = "127.0.0.1",
    port: options.Port = 8500,
    processes: options.Processes = 1,
    poll_interval_s: options.PollInterval = 2.0,
    max_batch_size: options.MaxBatchSize = 16,
    max_batch_events: options.MaxBatchEvents = 2048,
    batch_timeout_us: Annotated[
        int, typer.Option(help="microseconds that a batch may wait to fill while another is computed")
    ] = 1000,
    max_enqueued: Annotated[int, typer.Option(help="users that may wait before requests are refused")] = 1024,
    workers: Annotated[
        int | None,
        typer.Option(help="batches that a process computes at the same time; by default they are one a core"),
    ] = None,
    intra_op_threads: Annotated[
        int, typer.Option(help="threads that compute one op of a batch; 0 leaves it to TensorFlow")
    ] = 1,
    max_message_mb: options.MaxMessage = 64,
    drain_s: options.Drain = 30.0,
    max_connection_age_s: options.MaxConnectionAge = 0.0,
    tls_cert: options.TlsCert = None,
    tls_key: options.TlsKey = None,
    tls_client_ca: options.TlsClientCa = None,
    metrics_port: options.MetricsPort = 0,
    log_format: options.LogForm = LogFormat.TEXT,
    log_requests: options.LogRequests = False,
) -> None:
    """Serve a servable over gRPC, as TensorFlow Serving does, and every newer version that appears.

    Ctrl-C or SIGTERM stops it, once the requests that run have ended.
    """
    with needs_extra("serve", "serve"):
        # Before TensorFlow is imported, whose notes it stops.
        console = write_logs(log_format, of_libraries=processes == 1)
        from serving.settings import BatchSettings, ServerSettings, cores
    share_of_cores = max(cores() // processes, 1)
    settings = ServerSettings(
        folder=folder,
        name=name,
        host=host,
        port=port,
        processes=processes,
        poll_interval_s=poll_interval_s,
        drain_s=drain_s,
        max_connection_age_s=max_connection_age_s,
        max_message_mb=max_message_mb,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        intra_op_threads=intra_op_threads,
        metrics_port=metrics_port,
        log_requests=log_requests,
        batching=BatchSettings(
            max_batch_size=max_batch_size,
            max_batch_events=max_batch_events,
            batch_timeout_us=batch_timeout_us,
            max_enqueued=max_enqueued,
            workers=share_of_cores if workers is None else workers,
        ),
    )
    with contextlib.ExitStack() as loading:
        if console.is_terminal:  # for eyes alone: a log on a disk that is full must stop nothing
            loading.enter_context(console.status(f"loading {folder}"))

        def started(port: int) -> None:
            loading.close()
            # On stdout and alone, so that a script can read where to ask.
            print(f"{settings.model_name} serves on {host}:{port}", flush=True)

        run_server(
            "serve",
            "serving.server",
            settings,
            started,
            log_format=log_format,
            extra="serve",
        )
