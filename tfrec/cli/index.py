"""`tfrec index`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tfrec.cli.app import needs_extra
from tfrec.cli.export import LeaveOut
from tfrec.errors import SettingsError


class Kind(StrEnum):
    """How an index searches."""

    auto = "auto"
    exact = "exact"
    scann = "scann"


class Precision(StrEnum):
    """In what ScaNN works out scores again."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(index)


def index(
    out: Annotated[Path, typer.Option(help="indexes/NAME, the folder above the version numbers")],
    model: Annotated[
        Path | None, typer.Argument(help="what `tfrec train` has written; not needed to remove items")
    ] = None,
    add: Annotated[
        Path | None, typer.Option(help="file of items that came since, embedded by their features")
    ] = None,
    inherit: Annotated[
        float | None,
        typer.Option(
            min=0, help="of --add: what new items get of the scores of items like them; default 1, 0: nothing"
        ),
    ] = None,
    remove: Annotated[
        Path | None, typer.Option(help="Parquet or CSV whose column item_id says what to take out")
    ] = None,
    kind: Annotated[
        Kind, typer.Option(help="exact finds all; scann is faster; auto: exact below 20,000 items")
    ] = Kind.auto,
    recall: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=1, help="share of the best 10 that ScaNN must find; its search is tuned to it"
        ),
    ] = None,
    leaves: Annotated[int | None, typer.Option(help="ScaNN's partitions; by the catalogue's size")] = None,
    leaves_to_search: Annotated[int | None, typer.Option(help="of them, by a query")] = None,
    reorder: Annotated[int | None, typer.Option(help="candidates whose scores are worked out again")] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="of those scores; by the catalogue's size")
    ] = None,
    filter_: Annotated[
        list[str] | None, typer.Option("--filter", help="an item feature that requests may filter by")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="whose queries measure the recall; default: that of the training")
    ] = None,
    leave_out: Annotated[
        LeaveOut | None, typer.Option(help="as the encoder's servable was exported with; default: repeats")
    ] = None,
    version: Annotated[int | None, typer.Option(help="default: one more than the newest")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="a setting of answers, as answers.diversity=0.3")
    ] = None,
    quiet: Annotated[bool, typer.Option(help="no progress bars")] = False,
) -> None:
    """Build an index of a model's catalogue for `tfrec retrieval`, or change the items of one.

    Every call writes a new version beside the ones before; servers take it up by themselves.
    """
    changes = [option for option, given in (("--add", add), ("--remove", remove)) if given is not None]
    if len(changes) == 2:
        raise SettingsError("--add and --remove: expected one of them a call")
    scann: dict[str, Any] = {"leaves": leaves, "leaves_to_search": leaves_to_search, "reorder": reorder}
    scann |= {"precision": precision.value if precision else None}
    given = {name: value for name, value in scann.items() if value is not None}
    others = (given, recall, filter_, set_, kind is not Kind.auto, version, dataset, leave_out)
    if changes and any(others):
        raise SettingsError(
            f"{changes[0]} keeps the settings of the index: give it --out and the model alone"
        )
    if inherit is not None and add is None:
        raise SettingsError("--inherit is of new items: expected it beside --add")
    if remove is not None:
        with needs_extra("index", "retrieval"):
            from tfrec.index.changes import remove_file
        folder = remove_file(out, remove)
    elif model is None:
        raise SettingsError("name the model's folder: `tfrec index MODEL --out indexes/NAME`")
    elif add is not None:
        with needs_extra("index", "train"):
            from data_prep.new_items import read_new_items
            from tfrec.new_items import index_new_items
            from tfrec.schema import DatasetSchema
        frame = read_new_items(add, DatasetSchema.load(model))
        folder = index_new_items(model, out, frame, inherit=1.0 if inherit is None else inherit)
    else:
        with needs_extra("index", "train"):
            from tfrec.indexing import index_model
        folder = index_model(
            model,
            out,
            kind=kind.value,
            scann=given or None,
            recall=recall,
            filters=filter_ or (),
            dataset_folder=dataset,
            leave_out=(leave_out or LeaveOut.repeats).value,
            version=version,
            overrides=set_ or (),
            quiet=quiet,
        )
    _show(folder)


def _show(folder: Path) -> None:
    from tfrec.index.info import IndexInfo

    info = IndexInfo.load(folder)
    table = Table("index", str(folder))
    rows: dict[str, Any] = {"items": f"{info.items:,}", "kind": info.kind}
    if info.added or info.removed:
        rows["since the search was built"] = f"{info.added:,} added, {info.removed:,} removed"
    if info.scann:
        leaves = f"{info.scann.leaves_to_search} of {info.scann.leaves} leaves, " if info.scann.leaves else ""
        rows["search"] = f"{leaves}{info.scann.reorder} scores again in {info.scann.precision}"
    if info.recall:
        rows["recall@10, @100"] = f"{info.recall.at_10:.4f}, {info.recall.at_100:.4f}"
        rows["measured on"] = f"{info.recall.queries:,} queries of users"
    for name, value in rows.items():
        table.add_row(name, str(value))
    console = Console()
    console.print(table)
    console.print(f"Next: tfrec retrieval {folder.parent} --servable servables/NAME")
