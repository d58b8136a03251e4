"""Puts the commands together and turns errors into words."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator

import typer
from rich.console import Console
from rich.markup import escape

from tfrec.allocation import keep_freed_memory
from tfrec.errors import MissingExtraError, TfrecError

app = typer.Typer(
    name="tfrec",
    help="Recommendations across sessions: from an event log to TensorFlow Serving.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Each module has one function `register(app)`, which adds its commands.
COMMANDS = (
    "quickstart",
    "prepare",
    "settings",
    "train",
    "evaluate",
    "predict",
    "export",
    "placement",
    "serve",
    "index",
    "retrieval",
    "recommend",
    "rollout",
)
COMPUTING = ("quickstart", "train", "evaluate", "predict")
"""Commands whose steps ask for the same memory again and again."""


@contextlib.contextmanager
def needs_extra(command: str, extra: str) -> Iterator[None]:
    """Turns a missing package inside the block into the extra to install.

    Raises:
        MissingExtraError: a module outside tfrec could not be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing in {"tfrec", "data_prep", "serving", ""}:
            raise
        raise MissingExtraError(command, extra, missing) from error


def main() -> None:
    """Runs the program; an error of ours is printed without a traceback, with exit code 2."""
    # TensorFlow's start-up notes on CPU features and missing GPUs are no news to its user.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if sys.argv[1:2] and sys.argv[1] in COMPUTING:
        # Here and in no function that others call: it concerns the whole process.
        keep_freed_memory()
    for name in COMMANDS:
        importlib.import_module(f"tfrec.cli.{name}").register(app)
    try:
        app()
    except TfrecError as error:
        # Column names and ids of a log may look like markup.
        Console(stderr=True).print(
            f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True
        )
        sys.exit(2)
