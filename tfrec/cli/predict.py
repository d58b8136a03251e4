"""`tfrec predict`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tfrec.cli.app import needs_extra
from tfrec.cli.export import LeaveOut, Retrieval
from tfrec.errors import SettingsError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(predict)


def predict(
    model: Annotated[Path, typer.Argument(help="what `tfrec train` has written")],
    users: Annotated[
        Path | None,
        typer.Argument(help="file with a column user_id: who is answered; default: all of the dataset"),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="folder of Parquet parts; gone on with where it is there")],
    dataset: Annotated[
        Path | None, typer.Option(help="whose events are known; default: that of the training")
    ] = None,
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="answers a user")] = 50,
    at: Annotated[
        str | None,
        typer.Option(help="when users ask, in ISO 8601 or unix seconds; default: at the end of the log"),
    ] = None,
    allow: Annotated[Path | None, typer.Option(help="file with a column item_id: the only answers")] = None,
    exclude: Annotated[Path | None, typer.Option(help="file with a column item_id: no answers")] = None,
    filter_: Annotated[
        list[str] | None,
        typer.Option("--filter", help="NAME=VALUE of an item feature that answers must have; repeatable"),
    ] = None,
    leave_out: Annotated[
        LeaveOut, typer.Option(help="what of a user's own events is never answered")
    ] = LeaveOut.repeats,
    statistics: Annotated[
        Path | None,
        typer.Option(
            help="file with a column item_id, and what is known of items, where they are ranked by it"
        ),
    ] = None,
    search: Annotated[
        Retrieval, typer.Option(help="exact, or scann: faster in a large catalogue, and misses some")
    ] = Retrieval.exact,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="a setting of answers, as answers.diversity=0.3")
    ] = None,
    chunk: Annotated[int, typer.Option(min=1, help="users of a part")] = 8192,
    shard: Annotated[
        str, typer.Option(help="I/N: the I-th (from 0) of N processes that share the job")
    ] = "0/1",
    quiet: Annotated[bool, typer.Option(help="no progress bar")] = False,
) -> None:
    """Answer many users at once: what each should see next, as Parquet.

    Parts that are there already are not answered again: a job that was killed goes on where it stopped.
    """
    with needs_extra("predict", "train"):
        from tfrec.batch_files import item_ids, item_table, seconds_of, user_ids
        from tfrec.batch_prediction import predict as answer
    found = answer(
        model,
        out,
        users=None if users is None else user_ids(users),
        dataset_folder=dataset,
        k=k,
        at=None if at is None else seconds_of(at),
        leave_out=leave_out.value,
        allow=None if allow is None else item_ids(allow),
        exclude=() if exclude is None else item_ids(exclude),
        filters=_filters(filter_ or []),
        statistics=None if statistics is None else item_table(statistics),
        search=search.value,
        overrides=set_ or (),
        chunk=chunk,
        shard=_shard(shard),
        quiet=quiet,
    )
    console = Console()
    if found.without_events:
        console.print(f"{found.without_events:,} users are not in the log: answered as newcomers")
    before = f", {found.found:,} of its parts were there already" if found.found else ""
    console.print(f"{found.users:,} users answered{before}")
    whole = "complete" if found.complete else f"not complete yet: {found.parts:,} parts in all"
    console.print(f"[bold]{out}[/] is {whole}", highlight=False)


def _filters(given: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise SettingsError(f"--filter {text!r}: expected NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found


def _shard(text: str) -> tuple[int, int]:
    place, _, count = text.partition("/")
    if not (place.isdecimal() and count.isdecimal()):
        raise SettingsError(
            f"--shard {text!r}: expected I/N, as 0/4; in an Indexed Job $(JOB_COMPLETION_INDEX)/N"
        )
    return int(place), int(count)
