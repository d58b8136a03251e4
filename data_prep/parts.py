"""A log in parts, and the work that waits to be done on each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from data_prep.log import Log
from data_prep.report import Report
from data_prep.sequences import SequenceTable, write_sequences

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """All events of some users. Parts follow one another in the order of users, and no user is in two.

    Attributes:
        log: E events.
        session: [E] int64 numbers over all users of the part, rising; None before sessions are cut.
        role: [E] int8 places in `tfrec.schema.ROLES`; None before the split. Both stay None without events.
    """

    log: Log
    session: np.ndarray | None = None
    role: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.log)

    def take(self, keep: np.ndarray) -> "Part":
        """Returns the events where a mask of [E] bool holds."""
        if keep.all():
            return self
        return Part(
            self.log.take(keep),
            None if self.session is None else self.session[keep],
            None if self.role is None else self.role[keep],
        )

    @property
    def sessions(self) -> np.ndarray:
        """[E] int64, once they are cut."""
        assert self.session is not None
        return self.session

    @property
    def roles(self) -> np.ndarray:
        """[E] int8, once the log is split."""
        assert self.role is not None
        return self.role


Stage = Callable[[Part], tuple[Part, Any]]
"""What is done with a part: it gives the changed part, and what was found."""


class Parts(Protocol):
    """The parts of a log, wherever they are."""

    def run(self, stages: Sequence[Stage]) -> list[list[Any]]:
        """Puts each part through all stages in turn; returns what they found, a list a part."""

    def write(
        self, sequences_of: Callable[[Part, int], SequenceTable], folder: Path, shards: int | None
    ) -> int:
        """Writes the sequences of a dataset, and returns how many shards there are.

        Args:
            sequences_of: a part, and how many events of the log stand before it -> its sequences.
            folder: of the dataset.
            shards: how many to write; None: one for each two million events.
        """


class OnePart:
    """The whole log in this process. It is held by nobody else: memory is what limits its size."""

    def __init__(self, log: Log) -> None:
        self._parts = [Part(log, role=log.role)]

    def run(self, stages: Sequence[Stage]) -> list[list[Any]]:
        """Puts the log through all stages."""
        found = []
        for stage in stages:
            part, one = stage(self._parts.pop())
            self._parts.append(part)
            del part
            found.append(one)
        return [found]

    def write(
        self, sequences_of: Callable[[Part, int], SequenceTable], folder: Path, shards: int | None
    ) -> int:
        """Writes the sequences."""
        return write_sequences(sequences_of(self._parts.pop(), 0), folder, shards)


class Work:
    """Stages that wait, so that as many as can be are done in one pass over the parts.

    Args:
        parts: of the log.
        report: which events each step takes away.
    """

    def __init__(self, parts: Parts, report: Report) -> None:
        self._parts, self._report = parts, report
        self._waiting: list[tuple[Stage, list[Any], str | None]] = []

    def change(self, function: Callable[[Part], Part]) -> None:
        """Changes each part; one without events stays as it is."""
        self._waiting.append((lambda part: (function(part) if len(part) else part, None), [], None))

    def keep(self, step: str, wanted: Callable[[Part], np.ndarray]) -> None:
        """Keeps the events for which a mask of [E] bool holds, and notes the step."""
        self._waiting.append((_Keep(wanted), [], step))

    def look(self, function: Callable[[Part], T]) -> Callable[[], list[T]]:
        """Asks each part for something. What is returned gives the answers; it does what waits until then."""
        answers: list[Any] = []
        self._waiting.append((lambda part: (part, function(part)), answers, None))

        def given() -> list[T]:
            if self._waiting:
                self.run()
            return answers

        return given

    def run(self) -> None:
        """Does what waits."""
        waiting, self._waiting = self._waiting, []
        found = self._parts.run([stage for stage, _, _ in waiting])
        for (_, answers, step), of_parts in zip(waiting, zip(*found, strict=True), strict=True):
            answers.extend(of_parts)
            if step is not None:
                self._report.take(step, sum(of_parts))

    def write(
        self, sequences_of: Callable[[Part, int], SequenceTable], folder: Path, shards: int | None
    ) -> int:
        """Does what waits, and writes the sequences: see `Parts.write`."""
        if self._waiting:
            self.run()
        return self._parts.write(sequences_of, folder, shards)


@dataclass(frozen=True)
class _Keep:
    """A stage that counts what it takes away."""

    wanted: Callable[[Part], np.ndarray]

    def __call__(self, part: Part) -> tuple[Part, int]:
        if not len(part):
            return part, 0
        kept = part.take(self.wanted(part))
        return kept, len(part) - len(kept)
