"""The parts of a log in files, worked on by many processes."""

import itertools
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cloudpickle
import numpy as np
import pyarrow as pa

from data_prep.on_dask.workers import Workers
from data_prep.parts import Part, Stage
from data_prep.sequences import SequenceTable, shard_bounds, shard_count, shards_folder, write_shard


class Place(Protocol):
    """Where a part waits."""

    def load(self) -> Part:
        """Reads it."""


@dataclass(frozen=True)
class Stored:
    """A part in a file of its own."""

    path: Path

    def load(self) -> Part:
        """Reads it."""
        with self.path.open("rb") as file:
            return pickle.load(file)

    def save(self, part: Part) -> None:
        """Writes it, whole or not at all."""
        beside = self.path.with_suffix(f".{os.getpid()}")
        with beside.open("wb") as file:
            pickle.dump(part, file, protocol=pickle.HIGHEST_PROTOCOL)
        beside.replace(self.path)


class StoredParts:
    """The parts of a log, wherever their files are. A pass reads old files and writes new ones.

    Args:
        workers: that do the work.
        places: of the parts, in the order of users.
        scratch: a folder for files.
        told: is given the share of a pass that is done.
    """

    def __init__(
        self, workers: Workers, places: Sequence[Place], scratch: Path, told: Callable[[float], None]
    ) -> None:
        self._workers, self._scratch, self._told = workers, scratch, told
        self._places: list[Place] = list(places)
        self._passes = 0
        self._events: list[int] = []

    def run(self, stages: Sequence[Stage]) -> list[list[Any]]:
        """Puts each part through all stages in turn; returns what they found, a list a part."""
        self._passes += 1
        job = self._job(stages)
        targets = [Stored(self._scratch / f"{n}-{self._passes}.part") for n in range(len(self._places))]
        done = self._workers.map(partial(_run, job), self._places, targets, told=self._told)
        for place in self._places:
            if isinstance(place, Stored):
                place.path.unlink()
        self._places = list(targets)
        self._events = [events for events, _ in done]
        return [found for _, found in done]

    def write(
        self, sequences_of: Callable[[Part, int], SequenceTable], folder: Path, shards: int | None
    ) -> int:
        """Writes the sequences: see `data_prep.parts.Parts`."""
        job = self._job(sequences_of)
        before = [sum(self._events[:number]) for number in range(len(self._events))]
        paths = [self._scratch / f"{number}.sequences" for number in range(len(before))]
        sizes = self._workers.map(
            _sequences, [job] * len(paths), self._places, before, paths, told=self._told
        )
        offsets = np.append(0, np.cumsum(np.concatenate(sizes))).astype(np.int64)
        bounds = shard_bounds(offsets, shard_count(int(offsets[-1]), shards))
        first_users = np.append(0, np.cumsum([len(of_part) for of_part in sizes]))
        out = shards_folder(folder)
        tasks = [
            (_overlaps(paths, first_users, first, last), int(offsets[last] - offsets[first]), out, shard)
            for shard, (first, last) in enumerate(itertools.pairwise(bounds))
        ]
        self._workers.map(_shard, *zip(*tasks, strict=True), told=self._told)
        return len(tasks)

    def _job(self, what: Any) -> Path:
        """A file of what all tasks of a pass need."""
        path = self._scratch / f"job-{self._passes}"
        path.write_bytes(cloudpickle.dumps(what))
        return path


def _run(job: Path, place: Place, target: Stored) -> tuple[int, list[Any]]:
    part, found = place.load(), []
    for stage in pickle.loads(job.read_bytes()):
        part, one = stage(part)
        found.append(one)
    target.save(part)
    pa.default_memory_pool().release_unused()
    return len(part), found


def _sequences(job: Path, place: Place, before: int, path: Path) -> np.ndarray:
    """Writes the sequences of a part, a row a user, and returns how many events each has."""
    part = place.load()
    if not len(part):
        return np.zeros(0, np.int64)
    sequences = pickle.loads(job.read_bytes())(part, before)
    table = sequences.table(0, len(sequences.user_id))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    pa.default_memory_pool().release_unused()
    return np.diff(sequences.offsets)


def _overlaps(
    paths: Sequence[Path], first_users: np.ndarray, first: int, last: int
) -> list[tuple[Path, int, int]]:
    """The files that hold the users from `first` to before `last`, and which of their rows these are."""
    return [
        (path, max(0, int(first - begin)), int(min(last, end) - begin))
        for path, begin, end in zip(paths, first_users[:-1], first_users[1:], strict=True)
        if begin < last and first < end
    ]


def _shard(rows: Sequence[tuple[Path, int, int]], events: int, folder: Path, shard: int) -> None:
    tables = []
    for path, first, last in rows:
        with pa.memory_map(str(path)) as source:
            tables.append(pa.ipc.open_file(source).read_all().slice(first, last - first))
    write_shard(pa.concat_tables(tables), events, folder, shard)
    pa.default_memory_pool().release_unused()
