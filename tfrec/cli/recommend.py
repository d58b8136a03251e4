"""`tfrec recommend`: a question to a server."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tfrec.errors import DataError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(recommend)


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
