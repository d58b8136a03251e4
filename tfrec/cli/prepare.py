"""`tfrec prepare`."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tfrec.cli.app import needs_extra
from tfrec.cli.prepare_options import begun, grown, impressions_of, named, opposite, pairs, sampled_of, valid
from tfrec.errors import SettingsError
from tfrec.schema import DatasetSchema


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(prepare)


def prepare(
    paths: Annotated[list[Path] | None, typer.Argument(help="files or folders of the log")] = None,
    out: Annotated[
        Path | None, typer.Option(help="the dataset folder to write; default: dataset, or that of --onto")
    ] = None,
    onto: Annotated[
        Path | None,
        typer.Option(help="a dataset that is to grow: its log, with the files named here, and its options"),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="log (the default), completejourney, movielens, ebnerd, retailrocket or judge"),
    ] = None,
    user: Annotated[str | None, typer.Option(help="column of user ids")] = None,
    item: Annotated[str | None, typer.Option(help="column of item ids")] = None,
    time: Annotated[str | None, typer.Option(help="column of times")] = None,
    event: Annotated[str | None, typer.Option(help="column of event types")] = None,
    session: Annotated[str | None, typer.Option(help="column of session ids; else a gap ends one")] = None,
    context: Annotated[
        list[str] | None, typer.Option(help="a further column, as NAME or NAME:numeric or NAME:categorical")
    ] = None,
    time_unit: Annotated[str | None, typer.Option(help="auto, iso, s, ms or us")] = None,
    items: Annotated[Path | None, typer.Option(help="a file of item features")] = None,
    items_id: Annotated[str | None, typer.Option(help="its column of item ids")] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(
            help="a feature's kind: NAME:numeric, :categorical, :multi, :words (of a text) or :none"
        ),
    ] = None,
    impressions: Annotated[Path | None, typer.Option(help="a file of what was shown")] = None,
    impression_id: Annotated[
        str | None, typer.Option(help="column of their ids: one row a shown item; else one an impression")
    ] = None,
    shown: Annotated[str | None, typer.Option(help="without ids: their column of lists of items")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="a label of shown items, as NAME=COLUMN, default click=clicked; of sampled ones "
            "NAME=TYPE|TYPE, default each event type"
        ),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(
            help="numbers of shown items, as NAME=COLUMN; of sampled ones a numeric context column of events"
        ),
    ] = None,
    impression_context: Annotated[
        list[str] | None, typer.Option(help="a column of theirs, as NAME or NAME:numeric or NAME:categorical")
    ] = None,
    count_label: Annotated[
        list[str] | None, typer.Option(help="a label that comes at once, and counts in statistics")
    ] = None,
    impression_session: Annotated[
        str | None, typer.Option(help="their column of the log's session ids; else a gap opens a session")
    ] = None,
    impression_role: Annotated[str | None, typer.Option(help="their column of train, val or test")] = None,
    sampled_impressions: Annotated[
        int | None, typer.Option(help="make them of the log itself, with so many items drawn by lot for each")
    ] = None,
    session_gap: Annotated[int | None, typer.Option(help="seconds; a longer gap ends a session")] = None,
    unordered_sessions: Annotated[
        bool | None, typer.Option(help="the order inside a session means nothing")
    ] = None,
    clock: Annotated[bool | None, typer.Option("--clock/--no-clock", help="times are clock times")] = None,
    keep_duplicates: Annotated[bool | None, typer.Option(help="keep rows that are equal")] = None,
    drop_repeats: Annotated[bool | None, typer.Option(help="drop immediate repeats of an item")] = None,
    once_per_session: Annotated[bool | None, typer.Option(help="an item counts once in a session")] = None,
    max_events_a_day: Annotated[
        str | None, typer.Option(help="users with a busier day are dropped: a number, auto or none")
    ] = None,
    min_item_events: Annotated[int | None, typer.Option(help="drop rarer items")] = None,
    min_user_events: Annotated[int | None, typer.Option(help="drop rarer users")] = None,
    max_rejected_share: Annotated[float | None, typer.Option(help="unreadable rows; beyond: stop")] = None,
    split: Annotated[
        str | None, typer.Option(help="last_session, leave_one_out, global_time or none")
    ] = None,
    split_days: Annotated[int | None, typer.Option(help="of global_time")] = None,
    repeats: Annotated[str | None, typer.Option(help="anywhere, across_sessions or never")] = None,
    shards: Annotated[int | None, typer.Option(help="files of sequences")] = None,
    engine: Annotated[
        str, typer.Option(help="pandas (in memory), dask (in parts), or auto: by the size of the log")
    ] = "auto",
    scheduler: Annotated[
        str | None, typer.Option(help="Dask's, tcp://HOST:PORT; else Dask works on this machine")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Dask processes here; else one a core")] = None,
    memory: Annotated[
        float | None, typer.Option(help="GiB for all of them; else half of what is free")
    ] = None,
    partitions: Annotated[int | None, typer.Option(help="Dask parts of the log; else by its size")] = None,
    overwrite: Annotated[bool, typer.Option(help="replace the dataset folder")] = False,
) -> None:
    """Prepare a log: read, clean, cut into sessions, split, write a dataset."""
    with needs_extra("prepare", "prepare"):
        import data_prep
        from data_prep.engines import ENGINES
    given: dict[str, Any] = {
        "user": user,
        "item": item,
        "time": time,
        "event": event,
        "session": session,
        "context": pairs("--context", context),
        "time_unit": time_unit,
        "items_file": items,
        "items_id": items_id,
        "features": pairs("--feature", feature),
        "impressions": impressions_of(
            impressions,
            id=impression_id,
            shown=shown,
            labels=None if sampled_impressions else named("--label", label),
            values=None if sampled_impressions else named("--value", value),
            context=pairs("--impression-context", impression_context),
            counted=count_label,
            session=impression_session,
            role=impression_role,
        ),
        "sampled_impressions": sampled_of(
            sampled_impressions, named("--label", label), named("--value", value)
        ),
        "session_gap_s": session_gap,
        "ordered_sessions": opposite(unordered_sessions),
        "has_clock": clock,
        "drop_duplicates": opposite(keep_duplicates),
        "drop_repeats": drop_repeats,
        "once_per_session": once_per_session,
        "max_events_a_day": max_events_a_day,
        "min_item_events": min_item_events,
        "min_user_events": min_user_events,
        "max_rejected_share": max_rejected_share,
        "split": split,
        "split_days": split_days,
        "repeats": repeats,
        "shards": shards,
    }
    base = begun(onto, source, paths or [])
    before = None if onto is None else DatasetSchema.load(onto).counts
    chosen = base.options.model_dump() | {name: value for name, value in given.items() if value is not None}
    out = out or onto or Path("dataset")
    if engine not in ENGINES:
        raise SettingsError(f"--engine {engine!r}: expected one of {', '.join(ENGINES)}")
    where = {"scheduler": scheduler, "workers": workers, "memory": memory, "partitions": partitions}
    dask = {name: value for name, value in where.items() if value is not None}
    if dask and engine != "dask":
        raise SettingsError(f"--{next(iter(dask))} is for --engine dask; here it is --engine {engine}")
    grows = onto is not None and out.resolve() == onto.resolve()
    data_prep.prepare(
        base.source,
        base.paths,
        out,
        valid(data_prep.PrepareOptions, chosen),
        overwrite=overwrite or grows,
        engine=engine,
        dask=valid(data_prep.DaskOptions, dask),
    )
    if before is not None:
        Console().print(grown(before, DatasetSchema.load(out).counts))
    Console().print(f"{out}\nNext: tfrec train {out} --out model", markup=False, soft_wrap=True)
