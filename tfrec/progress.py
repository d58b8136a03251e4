"""Progress of long work, on stderr, so that stdout holds results alone."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")


def track(work: Iterable[T], description: str, total: int, *, quiet: bool = False) -> Iterator[T]:
    """Yields the pieces of work behind a bar with the time that has passed and an estimate of the rest."""
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        yield from progress.track(work, total=total, description=description)
