"""`tfrec export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tfrec.cli.app import needs_extra


class Retrieval(StrEnum):
    """How a servable searches."""

    exact = "exact"
    scann = "scann"


class Precision(StrEnum):
    """What a servable keeps its candidates in, and of `int8` the towers' weights."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    int8 = "int8"


class LeaveOut(StrEnum):
    """What a servable never answers, beside the ids that a request leaves out."""

    repeats = "repeats"
    session = "session"
    sequence = "sequence"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(export)


def export(
    model: Annotated[Path, typer.Argument(help="what `tfrec train` has written")],
    out: Annotated[Path, typer.Option(help="the servable's folder, named as the model in requests")],
    retrieval: Annotated[
        Retrieval,
        typer.Option(help="exact: stock ops alone; scann: for runtimes with the ScaNN ops"),
    ] = Retrieval.exact,
    precision: Annotated[
        Precision,
        typer.Option(help="of the candidates of exact search, int8: of the towers, too; scores stay float32"),
    ] = Precision.float32,
    k: Annotated[int, typer.Option(help="items in an answer")] = 100,
    leave_out: Annotated[
        LeaveOut,
        typer.Option(help="never answered: what cannot come again; the session's items; all items had"),
    ] = LeaveOut.repeats,
    version: Annotated[int | None, typer.Option(help="default: one more than the newest")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="a setting of answers, as answers.diversity=0.3")
    ] = None,
) -> None:
    """Export a model as a version of a servable for TensorFlow Serving."""
    with needs_extra("export", "serve"):
        from tfrec.export import export as run
        from tfrec.servable import ServableInfo
    folder = run(
        model,
        out,
        retrieval=retrieval.value,
        precision=precision.value,
        k=k,
        leave_out=leave_out.value,
        version=version,
        overrides=set_ or (),
    )
    console = Console()
    info = ServableInfo.load(folder)
    words = f"{info.items:,} items, {info.k} in an answer, {info.retrieval} retrieval, {info.precision}"
    console.print(f"[bold]{folder}[/]: {words}")
    console.print(f"Next: tfrec serve {out}")
