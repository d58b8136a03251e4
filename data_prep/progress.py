"""A bar over the steps of preparation."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
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


@contextlib.contextmanager
def steps_of(console: Console, shares: Mapping[str, float]) -> Iterator[Callable[[str], None]]:
    """Yields a function that says which step begins.

    Args:
        console: where the bar is drawn.
        shares: steps in order, with about what part of the time each takes, in any unit.
    """
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn(), TimeLeftColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=sum(shares.values()))
        names = list(shares)

        def step(name: str) -> None:
            done = sum(shares[before] for before in names[: names.index(name)])
            progress.update(task, description=name, completed=done)

        yield step
        progress.update(task, description="done", completed=sum(shares.values()))
