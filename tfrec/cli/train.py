"""`tfrec train`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tfrec.cli.app import needs_extra
from tfrec.distribution.cluster import Strategy
from tfrec.errors import DataError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(train)


def train(
    dataset: Annotated[Path, typer.Argument(help="what `tfrec prepare` has written")],
    out: Annotated[Path, typer.Option(help="the model folder to write")],
    config: Annotated[Path | None, typer.Option(help="a YAML file of settings")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="a setting, as training.epochs=3")] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="a model of an earlier cut of the log: its weights to begin with"),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="a model of this dataset, whose scores a smaller one learns to give"),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="replace the model folder")] = False,
    restart: Annotated[bool, typer.Option(help="begin anew where an unfinished run is found")] = False,
    strategy: Annotated[
        Strategy,
        typer.Option(
            help="who trains: none, this process alone; mirrored, all GPUs of this machine; multiworker, the "
            "processes that TF_CONFIG names, or those of an Indexed Job"
        ),
    ] = "none",
    quiet: Annotated[bool, typer.Option(help="no progress bars")] = False,
) -> None:
    """Train a model on a dataset. An interrupted run goes on when it is called again."""
    with needs_extra("train", "train"):
        from tfrec.distribution.workers import workers_of
        from tfrec.settings_file import load_settings
        from tfrec.trained import SETTINGS_FILE, training_facts
        from tfrec.training import train_into
    older = None if from_ is None else from_ / SETTINGS_FILE
    if older is not None and not older.is_file():
        raise DataError(f"{from_} is no model: it has no {SETTINGS_FILE}. `tfrec train` writes one.")
    workers = workers_of(strategy)
    train_into(
        dataset,
        out,
        load_settings(config or older, set_ or ()),
        overwrite=overwrite,
        restart=restart,
        quiet=quiet or not workers.chief,
        begin_from=from_,
        teacher=teacher,
        workers=workers,
    )
    facts = training_facts(out)
    best = facts[facts["monitor"]]
    found = f"{facts['monitor']} {best:.4f} after epoch {facts['best_epoch']}" if best else "no val events"
    console = Console()
    if kept := facts.get("begun_with"):
        console.print(
            f"begun with {from_}: {kept['items']:,} items were known, {kept['new_items']:,} are new"
        )
    console.print(f"[bold]{out}[/]: {facts['parameters']:,} parameters, {facts['epochs']} epochs, {found}")
    console.print(f"Next: tfrec evaluate {out}, tfrec export {out} --out servables/{out.name}")
    console.print(f"The course of training: tensorboard --logdir {out / 'logs'}")
