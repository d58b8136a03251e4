"""A bar over the steps of preparation."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text


class TimeLeftColumn(ProgressColumn):
    """What is left, by the time that the steps so far took (Rich's own needs many small steps)."""

    def render(self, task: Task) -> Text:
        """Returns the estimate; nothing before the first step is done."""
        if not task.completed or task.elapsed is None or task.finished:
            return Text()
        left = task.elapsed * (task.total or 0) / task.completed - task.elapsed
        return Text(f"about {timedelta(seconds=round(max(left, 0)))} left")


class Steps:
    """Says how far the work is.

    Args:
        progress: that shows it.
        shares: steps in order, with about what part of the time each takes, in any unit.
    """

    def __init__(self, progress: Progress, shares: Mapping[str, float]) -> None:
        self._progress, self._shares = progress, shares
        self._task = progress.add_task("", total=sum(shares.values()))
        self._before = self._share = self._reached = 0.0

    def __call__(self, name: str) -> None:
        """Begins a step."""
        names = list(self._shares)
        self._before = sum(self._shares[before] for before in names[: names.index(name)])
        self._share = self._shares[name]
        self._progress.update(self._task, description=name, completed=self._before)

    def within(self, share: float) -> None:
        """Says what share of the step is done; of a step in several passes, that of the first counts."""
        self._reached = max(self._reached, self._before + share * self._share)
        self._progress.update(self._task, completed=self._reached)

    def end(self) -> None:
        """Says that all is done."""
        self._progress.update(self._task, description="done", completed=sum(self._shares.values()))


@contextlib.contextmanager
def steps_of(console: Console, shares: Mapping[str, float]) -> Iterator[Steps]:
    """Yields what says which step begins, and how much of it is done.

    Args:
        console: where the bar is drawn.
        shares: steps in order, with about what part of the time each takes, in any unit.
    """
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn(), TimeLeftColumn())
    with Progress(*columns, console=console) as progress:
        steps = Steps(progress, shares)
        yield steps
        steps.end()
