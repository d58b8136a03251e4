"""A bar over the steps of preparation."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextlib.contextmanager
def steps_of(console: Console, count: int) -> Iterator[Callable[[str], None]]:
    """Yields a function that says which step begins."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=count)
        done = -1

        def step(name: str) -> None:
            nonlocal done
            done += 1
            progress.update(task, description=name, completed=done)

        yield step
        progress.update(task, description="done", completed=count)
