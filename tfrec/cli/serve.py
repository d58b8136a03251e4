"""`tfrec serve` and `tfrec recommend`: a servable behind gRPC, and a question to it."""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from tfrec.cli.app import needs_extra
from tfrec.errors import DataError


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(serve)
    app.command()(recommend)


def serve(
    folder: Annotated[Path, typer.Argument(help="servables/NAME, the folder above the version numbers")],
    name: Annotated[str, typer.Option(help="the model's name in requests; the folder's by default")] = "",
    host: Annotated[str, typer.Option(help="address to listen on; 0.0.0.0 for all")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 8500,
    poll_interval_s: Annotated[float, typer.Option(help="seconds between looks for a new version")] = 2.0,
    max_batch_size: Annotated[int, typer.Option(help="users computed together")] = 64,
    batch_timeout_us: Annotated[
        int, typer.Option(help="microseconds that an idle worker waits for a batch to fill")
    ] = 0,
    max_enqueued: Annotated[int, typer.Option(help="users that may wait before requests are refused")] = 1024,
    workers: Annotated[int, typer.Option(help="batches computed at the same time")] = 2,
    max_message_mb: Annotated[int, typer.Option(help="largest request and answer, in MiB")] = 64,
    drain_s: Annotated[float, typer.Option(help="seconds that running requests get at the end")] = 30.0,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate; with --tls-key, TLS")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM private key")] = None,
) -> None:
    """Serve a servable over gRPC, as TensorFlow Serving does, and every newer version that appears.

    Ctrl-C or SIGTERM stops it, once the requests that run have ended.
    """
    with needs_extra("serve", "serve"):
        from serving.server import run
        from serving.settings import BatchSettings, ServerSettings
    console = Console(stderr=True)
    handler = RichHandler(console=console, show_path=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    settings = ServerSettings(
        folder=folder,
        name=name,
        host=host,
        port=port,
        poll_interval_s=poll_interval_s,
        drain_s=drain_s,
        max_message_mb=max_message_mb,
        tls_cert=tls_cert,
        tls_key=tls_key,
        batching=BatchSettings(max_batch_size, batch_timeout_us, max_enqueued, workers),
    )
    with console.status(f"loading {folder}") as status:

        def started(server: Any) -> None:
            status.stop()
            # On stdout and alone, so that a script can read where to ask.
            print(f"{settings.model_name} serves on {host}:{server.port}", flush=True)

        run(settings, started)


def recommend(
    user_events: Annotated[
        Path,
        typer.Option(
            help="JSON: a list of events, or an object with `events`, and `exclude`, `request_time`, "
            "`session` if wanted; - reads stdin"
        ),
    ],
    target: Annotated[str, typer.Option(help="host:port of the server")] = "localhost:8500",
    model: Annotated[str, typer.Option(help="the model's name; `tfrec serve` needs none")] = "",
    k: Annotated[int, typer.Option("-k", "--k", help="how many items")] = 10,
    timeout_s: Annotated[float, typer.Option(help="deadline of the call, in seconds")] = 5.0,
    retries: Annotated[int, typer.Option(help="further attempts where no server answers, at most 4")] = 3,
    tls: Annotated[bool, typer.Option("--tls", help="TLS, with the machine's authorities")] = False,
    tls_root: Annotated[Path | None, typer.Option(help="TLS that trusts this PEM certificate")] = None,
    clock: Annotated[bool, typer.Option(help="whether the model's log has clock times")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Ask a server for recommendations.

    An event is an item's id, or an object with `item`, `time` (ISO 8601 or unix seconds), and
    `event_type`, `session`, `context` where the model has them; oldest first.
    """
    from serving.client import Query, Recommender

    query = Query.of(_read_json(user_events))
    with Recommender(
        target, model=model, timeout_s=timeout_s, retries=retries, tls=tls_root or tls, clock=clock
    ) as recommender:
        found = recommender.recommend(
            query.events, k, exclude=query.exclude, request_time=query.request_time, session=query.session
        )
    if as_json:
        print(json.dumps([{"item": one.item, "score": one.score} for one in found], ensure_ascii=False))
        return
    table = Table(title=f"{len(found)} recommendations after {len(query.events)} events")
    table.add_column("place", justify="right")
    table.add_column("item")
    table.add_column("score", justify="right")
    for place, one in enumerate(found, start=1):
        table.add_row(str(place), str(one.item), f"{one.score:.4f}")
    Console().print(table)


def _read_json(path: Path) -> Any:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error}.") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} is no JSON: {error}. Expected a list of events, or an object with `events`."
        ) from error
