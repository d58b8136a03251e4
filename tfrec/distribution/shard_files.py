"""Checkpoints of workers that hold tables together: one folder, in which each has a file of its rows."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfrec.building import item_tables
from tfrec.checkpoints import ANEW, Checkpoints, RunState
from tfrec.distribution.shards import Shards
from tfrec.distribution.workers import Workers
from tfrec.errors import DataError

BEST = "best_"
NOW = "now_"


class SharedCheckpoints(Checkpoints):
    """Checkpoints that all workers write together; they can be read by another number of workers.

    Args:
        folder: that all share.
        shards: this worker's rows.
        workers: who have the others.
    """

    def __init__(self, folder: Path, shards: Shards, workers: Workers) -> None:
        super().__init__(folder)
        self.shards = shards
        self.workers = workers

    def save(self, state: RunState, variables: Sequence[Any], best: Sequence[np.ndarray]) -> None:
        """As `Checkpoints.save`, by all workers together."""
        partial = self.begun(state) if self.workers.chief else self.partial(state)
        self.workers.wait()
        now = {f"{NOW}{place}": variable.numpy() for place, variable in enumerate(self.shards.variables)}
        kept = {f"{BEST}{place}": rows for place, rows in enumerate(self.shards.best)}
        self.write(partial / f"rows-{self.shards.begin:012d}.npz", now | kept)
        self.workers.wait()
        if self.workers.chief:
            self.finish(state, variables, best)

    def load(self, variables: Sequence[Any]) -> tuple[RunState, list[np.ndarray]] | None:
        """As `Checkpoints.load`, and sets the rows that this worker has."""
        found = super().load(variables)
        path = self.newest()
        if found is None or path is None:
            return None
        try:
            for place, variable in enumerate(self.shards.variables):
                variable.assign(self._own(path, f"{NOW}{place}"))
            self.shards.best = [
                self._own(path, f"{BEST}{place}") for place in range(len(self.shards.weights))
            ]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"rows of the checkpoint {path} cannot be read: {error}. {ANEW}") from error
        return found

    def give_best(self, model: keras.Model, best: Sequence[np.ndarray]) -> None:
        """As `Checkpoints.give_best`, of the rows that all workers have written at the last checkpoint."""
        path, tables = self.newest(), item_tables(model)
        assert path is not None
        others = [weight for weight in model.weights if not any(weight is table for table in tables)]
        for weight, value in zip(others, best, strict=True):
            weight.assign(value)
        for place, table in enumerate(tables):
            for begin, rows in parts_of(path, f"{BEST}{place}"):
                table.value[begin : begin + len(rows)].assign(rows)

    def _own(self, path: Path, name: str) -> np.ndarray:
        """Of what all workers have written those rows that this one has now; or what has no rows."""
        begin, end = self.shards.begin, self.shards.end
        found = []
        for first, part in parts_of(path, name):
            if not part.ndim:
                return part
            found.append(part[max(begin - first, 0) : max(end - first, 0)])
        return np.concatenate(found)


def parts_of(path: Path, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yields what each worker has written under a name, in the order of their rows, and their first."""
    for file in sorted(path.glob("rows-*.npz")):
        with np.load(file) as saved:
            yield int(file.stem.removeprefix("rows-")), saved[name]
