"""`tfrec quickstart`: from a log to recommendations over gRPC, on real data."""

import functools
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from tfrec.cli.app import needs_extra

SETTINGS = Path(__file__).with_name("quickstart.yaml")
SERVABLES: tuple[Literal["exact", "scann"], ...] = ("exact", "scann")

console = Console()


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(quickstart)


def quickstart(
    folder: Annotated[Path, typer.Option(help="where everything is kept")] = Path("quickstart"),
) -> None:
    """Prepare, train, evaluate, export and serve the Complete Journey log; ask over gRPC.

    1.47 million lines of 2,469 households' groceries; under ten minutes on two cores. What is
    done already is found, and the rest goes on from there.
    """
    began = time.perf_counter()
    dataset, model, servables = folder / "dataset", folder / "model", folder / "servables"
    with needs_extra("quickstart", "demo"):
        from tfrec.cli import quickstart_steps as steps
    _step(1, "Prepare the log", dataset, lambda: steps.prepare(dataset))
    _step(2, "Train the two towers", model, lambda: steps.train(dataset, model, SETTINGS))
    _step(3, "Evaluate beside the baselines", model / "evaluation", lambda: steps.evaluate(model))
    steps.show_evaluation(model / "evaluation", console)
    for number, kind in enumerate(SERVABLES, start=4):
        out = servables / kind
        work = functools.partial(steps.export, model, out, kind)
        _step(number, f"Export the {kind} servable", out / "1", work)
    console.rule("6. Serve, and ask over gRPC", align="left")
    for kind in SERVABLES:
        steps.serve_and_ask(servables / kind, dataset, console, show=kind == SERVABLES[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.rule(
        f"Done in {_minutes(time.perf_counter() - began)}, at most {peak:,.0f} MB of memory", align="left"
    )
    console.print(f"All of it is in [bold]{folder}[/]. To go on:")
    for line in (
        f"tfrec evaluate {model}",
        f"tensorboard --logdir {model / 'logs'}",
        f"tfrec serve {servables / 'exact'}",
        f"tfrec recommend --target localhost:8500 --model exact --user-events {folder / 'household.json'}",
        "tfrec prepare --help       # your own log",
    ):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def _step(number: int, title: str, result: Path, work: Callable[[], None]) -> None:
    """Does a step, unless its result is there."""
    console.rule(f"{number}. {title}", align="left")
    if result.exists():
        console.print(f"found: {result}")
        return
    began = time.perf_counter()
    work()
    console.print(f"{result}: {_minutes(time.perf_counter() - began)}")


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d} minutes"
