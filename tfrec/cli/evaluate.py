"""`tfrec evaluate`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tfrec.cli.app import needs_extra
from tfrec.errors import SettingsError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(evaluate)


def evaluate(
    model: Annotated[Path, typer.Argument(help="what `tfrec train` has written")],
    dataset: Annotated[
        Path | None, typer.Option(help="whose queries to ask; default: the one it was trained on")
    ] = None,
    role: Annotated[str, typer.Option(help="test or val")] = "test",
    out: Annotated[Path | None, typer.Option(help="default: MODEL/evaluation")] = None,
    quiet: Annotated[bool, typer.Option(help="no progress bars")] = False,
) -> None:
    """Measure a model beside the baselines: a table, metrics.json, plots and answers."""
    if role not in ("test", "val"):
        raise SettingsError(f"--role {role!r}: expected test or val")
    with needs_extra("evaluate", "train"):
        from tfrec.evaluation_report import show
        from tfrec.model_evaluation import evaluate_model
        from tfrec.ranking_report import show_ranking
    target = out or model / "evaluation"
    found = evaluate_model(model, dataset, target, role=role, quiet=quiet)
    console = Console()
    if found.retrieval is not None:
        show(found.retrieval, console)
    if found.ranking is not None:
        show_ranking(found.ranking, console)
    elif found.tasks:
        console.print(f"No {role} impressions: {', '.join(found.tasks)} could not be measured", markup=False)
    console.print(f"Metrics, plots and answers: [bold]{target}[/]")
