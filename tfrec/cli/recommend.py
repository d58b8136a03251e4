"""`tfrec recommend`: a question to a server."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfrec.errors import DataError, SettingsError

if TYPE_CHECKING:
    from serving.client import Query, Recommendation, Tls
    from tfrec.schema import IdType


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(recommend)


def recommend(
    user_events: Annotated[
        Path,
        typer.Option(
            help="JSON: a list of events, or an object with `events`, and `exclude`, `allow`, "
            "`request_time`, `session`, `context`, `statistics`, `filters` if wanted; - reads stdin"
        ),
    ],
    target: Annotated[str, typer.Option(help="host:port of the server")] = "localhost:8500",
    model: Annotated[str, typer.Option(help="the model's name; `tfrec serve` needs none")] = "",
    version: Annotated[int | None, typer.Option(help="a version's number; the newest by default")] = None,
    label: Annotated[str | None, typer.Option(help="a version's label, where the server has labels")] = None,
    k: Annotated[int, typer.Option("-k", "--k", help="how many items")] = 10,
    exclude: Annotated[list[str] | None, typer.Option(help="an item's id to leave out; repeatable")] = None,
    timeout_s: Annotated[float, typer.Option(help="deadline of a call, in seconds")] = 5.0,
    retries: Annotated[int, typer.Option(help="further attempts where no server answers, at most 4")] = 3,
    tls: Annotated[bool, typer.Option("--tls", help="TLS, with the usual authorities")] = False,
    tls_root: Annotated[Path | None, typer.Option(help="TLS that trusts this PEM certificate")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate of the client (mutual TLS)")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM private key of the client")] = None,
    clock: Annotated[bool, typer.Option(help="whether the model's log has clock times")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Ask a server for recommendations.

    An event is an item's id, or an object with `item`, `time` (ISO 8601 or unix seconds), and
    `event_type`, `session`, `context` where the model has them; oldest first.
    """
    from serving.client import Query, Recommender
    from serving.queries import ids_of, statistics_by_id

    query = Query.of(_read_json(user_events))
    with Recommender(
        target,
        model=model,
        version=version,
        label=label,
        timeout_s=timeout_s,
        retries=retries,
        tls=_tls(tls, tls_root, tls_cert, tls_key),
        clock=clock,
    ) as recommender:
        left_out = [*ids_of(query.exclude, "exclude")]
        if exclude:
            left_out += _ids(exclude, recommender.item_id_type)
        found = recommender.recommend(
            query.events,
            k,
            exclude=left_out,
            allow=query.allow,
            request_time=query.request_time,
            session=query.session,
            context=query.context,
            statistics=statistics_by_id(query.statistics, recommender.item_id_type, "statistics"),
            filters=query.filters,
        )
    if as_json:
        answers = [{"item": one.item, "score": one.score, **one.probabilities} for one in found]
        print(json.dumps(answers, ensure_ascii=False))
    else:
        Console().print(_table(query, found))


def _table(query: "Query", found: "list[Recommendation]") -> Table:
    table = Table(title=f"{len(found)} recommendations after {len(query.events)} events")
    table.add_column("place", justify="right")
    table.add_column("item", overflow="fold")
    table.add_column("score", justify="right")
    for task in found[0].probabilities if found else ():
        table.add_column(escape(task), justify="right")
    for place, one in enumerate(found, start=1):
        chances = [f"{chance:.4f}" for chance in one.probabilities.values()]
        table.add_row(str(place), escape(str(one.item)), f"{one.score:.4f}", *chances)
    return table


def _tls(on: bool, root: Path | None, certificate: Path | None, key: Path | None) -> "bool | Tls":
    from serving.client import Tls

    if not on and root is None and certificate is None and key is None:
        return False
    return Tls(root, certificate, key)


def _ids(texts: list[str], id_type: "IdType") -> list[int | str]:
    """Ids of the shell, which are all text, as the model's ids are."""
    if id_type == "string":
        return list(texts)
    try:
        return [int(text) for text in texts]
    except ValueError:
        raise SettingsError(f"--exclude: the model's ids are integers, found {', '.join(texts)}.") from None


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
