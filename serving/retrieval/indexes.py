"""The index versions of a folder: the newest of each model's space, swapped between two requests."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

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
        # By version: when its metadata were written, and what they say.
        self._refused: dict[int, int] = {}
        self._spaces: dict[int, tuple[int, int]] = {}

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
        return found

    async def look(self) -> bool:
        """Takes up what the folder holds now; returns whether anything else is searched than before.

        A version that does not load is left alone until its metadata changes, and the one before it goes on.
        """
        held = {index.info.version: index for index in self._by_space.values()}
        wanted: dict[int, Index] = {}
        for number, path in reversed(_found(self.folder)):
            stamp = _stamp(path)
            if self._refused.get(number) == stamp:
                continue
            try:
                if self._spaces.get(number, (None, 0))[0] != stamp:
                    self._spaces[number] = stamp, IndexInfo.load(path).space
                space = self._spaces[number][1]
                if space not in wanted:
                    known = held.get(number)
                    wanted[space] = known if known else await asyncio.to_thread(load_index, path)
            except TfrecError as error:
                self._refused[number] = stamp
                self._on_reject()
                log.error("index version %d is not taken: %s", number, error)
            if len(wanted) == SPACES:
                break
        if not wanted or wanted == self._by_space:
            return False
        self._by_space = wanted
        log.info("index versions %s of %s serve", ", ".join(map(str, self.versions)), self.folder.name)
        return True

    async def watch(self, interval_s: float) -> None:
        """Looks at the folder for ever."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.look()
            except Exception:
                log.exception("looking at %s failed; the next look is in %s s", self.folder, interval_s)

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
    return sorted((int(path.name), path) for path in paths if path.name.isascii() and path.name.isdigit())


def _stamp(folder: Path) -> int:
    """When the metadata of a version were written; 0 where there are none."""
    try:
        return (folder / INFO_FILE).stat().st_mtime_ns
    except OSError:
        return 0
