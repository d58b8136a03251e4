"""`tfrec placement`: where a servable's ops can run."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from tfrec.cli.app import needs_extra

if TYPE_CHECKING:
    from tfrec.placement.signatures import SignaturePlacement


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(placement)


def placement(
    version: Annotated[Path, typer.Argument(help="servables/NAME/VERSION")],
    as_json: Annotated[
        bool, typer.Option("--json", help="print all of it as JSON instead of tables")
    ] = False,
) -> None:
    """Show which of a servable's ops have kernels for CPUs and GPUs, as the installed TensorFlow has them.

    Nothing is run. Exit code 1: some op has no kernel, or one that GPUs lack stands between heavy ones
    (matrix products, softmax, top-k), so that a GPU would wait for the CPU in the middle.
    """
    with needs_extra("placement", "serve"):
        from tfrec.placement.signatures import placements
    found = placements(version)
    if as_json:
        print(
            json.dumps(
                [{**dataclasses.asdict(one), "dense_part_stays": one.dense_part_stays} for one in found]
            )
        )
    else:
        console = Console()
        console.print(_signatures(found), _ops(found))
        for one in found:
            for name in (*one.cpu_only.get("between", ()), *one.without_kernel):
                console.print(f"[bold red]{one.signature}[/]: {name}", highlight=False, soft_wrap=True)
    if any(one.dense_part_stays is False or one.without_kernel for one in found):
        raise typer.Exit(1)


def _signatures(found: "list[SignaturePlacement]") -> Table:
    from tfrec.placement.signatures import PLACES

    table = Table(
        title="Nodes of each signature, and those for CPUs only by where they stand to the heavy ones"
    )
    for column in ("signature", "all", "heavy", *PLACES, "no kernel"):
        table.add_column(column, justify="left" if column == "signature" else "right")
    for one in found:
        known = one.dense_part_stays is not None
        counts = [len(one.cpu_only.get(place, ())) if known else "?" for place in PLACES]
        nodes = sum(op.nodes for op in one.ops.values())
        table.add_row(one.signature, *map(str, (nodes, one.heavy, *counts, len(one.without_kernel))))
    return table


def _ops(found: "list[SignaturePlacement]") -> Table:
    """Those with fewer places to run than nodes; others run anywhere."""
    table = Table(title="Ops that not every device has, by dtype")
    for column in ("signature", "op", "nodes", "on a CPU", "on a GPU"):
        table.add_column(column, justify="left" if column in ("signature", "op") else "right")
    for one in found:
        for name, op in one.ops.items():
            if op.cpu < op.nodes or op.gpu is None or op.gpu < op.nodes:
                gpu = "?" if op.gpu is None else str(op.gpu)
                table.add_row(one.signature, name, str(op.nodes), str(op.cpu), gpu)
    return table
