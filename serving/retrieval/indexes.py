"""The index versions of a folder: the newest of each model's space, swapped between two requests."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.status import Code, ServingError
from tfrec.errors import DataError, TfrecError
from tfrec.index.folder import load_index
from tfrec.index.index import Index
from tfrec.index.info import INFO_FILE, IndexInfo

log = logging.getLogger("tfrec.serving")

SPACES = 2
"""Models at a time: while an encoder switches, its requests come from the old one and the new."""


class Indexes:
    """Looks at `indexes/NAME/` and holds what can be searched.

    A request keeps the index that it began with; one that was replaced goes with its last request. States
    belong to one event loop; only loading runs in a thread.

    Args:
        folder: holds the version folders.
        on_reject: called for each version that is no good.
    """

    def __init__(self, folder: Path, on_reject: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self._on_reject = on_reject
        self._by_space: dict[int, Index] = {}
        # By version: its files, and when its metadata were written and what they say.
        self._refused: dict[int, tuple[Any, ...]] = {}
        self._spaces: dict[int, tuple[int, int]] = {}
        self._met: int | None = None

    @property
    def versions(self) -> list[int]:
        """Those that are held, newest first."""
        return sorted((index.info.version for index in self._by_space.values()), reverse=True)

    @property
    def newest(self) -> Index:
        """The newest version.

        Raises:
            ServingError: UNAVAILABLE: there is none.
        """
        if not self._by_space:
            raise ServingError(Code.UNAVAILABLE, f"no version of the index {self.folder.name} is loaded")
        return max(self._by_space.values(), key=lambda index: index.info.version)

    def of_space(self, space: int) -> Index:
        """The index of a model.

        Raises:
            ServingError: FAILED_PRECONDITION: none is.
        """
        found = self._by_space.get(space)
        if found is None:
            raise ServingError(
                Code.FAILED_PRECONDITION,
                f"the encoder's model is none of those that the index {self.folder.name} (versions "
                f"{', '.join(map(str, self.versions)) or 'none'}) was built of. Build an index of that model "
                "by `tfrec index`, or serve the servable of this one.",
            )
        self._met = space
        return found

    @property
    def columns(self) -> list[str]:
        """What any of the held indexes filters by."""
        return sorted({name for index in self._by_space.values() for name in index.info.columns})

    async def look(self) -> bool:
        """Takes up what the folder holds now; returns whether anything else is searched than before.

        A version that does not load is left alone until its files change, and the one before it goes on.
        """
        held = {index.info.version: index for index in self._by_space.values()}
        wanted: dict[int, Index] = {}
        # The encoder's model stays, however many newer ones are indexed before it switches.
        met = self._by_space.get(self._met) if self._met is not None else None
        most = SPACES if met is None else SPACES - 1
        for number, path in reversed(_found(self.folder)):
            if number in self._refused and self._refused[number] == _stamp(path):
                continue
            try:
                space = self._space(number, path)
                others = len(wanted.keys() - {self._met})
                if space in wanted or (space != self._met and others == most):
                    continue
                known = held.get(number)
                wanted[space] = known if known else await asyncio.to_thread(load_index, path)
            except Exception as error:
                if not path.exists():
                    continue  # it went after the folder was read: nothing is wrong with it
                self._refused[number] = _stamp(path)
                self._on_reject()
                log.error("index version %d is not taken: %s", number, error, exc_info=not _told(error))
            if len(wanted) == SPACES:
                break
        if met is not None and wanted:
            wanted.setdefault(met.info.space, met)
        if not wanted or wanted == self._by_space:
            return False
        self._by_space = wanted
        log.info("index versions %s of %s serve", ", ".join(map(str, self.versions)), self.folder.name)
        return True

    def _space(self, number: int, path: Path) -> int:
        """Whose space a version lives in, read once."""
        stamp = (path / INFO_FILE).stat().st_mtime_ns if (path / INFO_FILE).exists() else 0
        if self._spaces.get(number, (None, 0))[0] != stamp:
            self._spaces[number] = stamp, IndexInfo.load(path).space
        return self._spaces[number][1]

    def require(self) -> None:
        """Checks that a version is there.

        Raises:
            DataError: none is.
        """
        if not self._by_space:
            raise DataError(
                f"{self.folder} holds no version of an index that can be used. `tfrec index MODEL --out "
                f"{self.folder}` writes one; name the folder above the numbers."
            )


def _found(folder: Path) -> list[tuple[int, Path]]:
    paths = folder.iterdir() if folder.is_dir() else ()
    numbered = (path for path in paths if path.name.isascii() and path.name.isdigit())
    return sorted((int(path.name), path) for path in numbered if path.is_dir())


def _stamp(folder: Path) -> tuple[Any, ...]:
    """What changes when the files of a version do."""
    found = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):
            found.append((path.name, path.stat().st_size, path.stat().st_mtime_ns))
    return tuple(found)


def _told(error: Exception) -> bool:
    """Whether an error is one of ours, whose words say enough."""
    return isinstance(error, TfrecError)
