"""Newer versions for a soak: what was given, copied under the next number."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tfrec.folders import newest_version, whole_folder
from tfrec.index.folder import load_index, write_index

KEPT = 2
"""Versions that stay on disk: the one that serves, and the one before."""


class Copies:
    """Versions in a folder of their own, the first a copy of the newest that was given.

    Args:
        kind: servable or index.
        place: where the folder is made, with the name of the one given.
        given: NAME/, with version folders.
        write: makes of a version folder one of another number beside it.

    Attributes:
        folder: holds the versions.
        made: newer versions since.
    """

    def __init__(self, kind: str, place: Path, given: Path, write: Callable[[Path, int], None]) -> None:
        self.kind = kind
        self._write = write
        number = newest_version(given)
        self.folder = place / given.resolve().name
        self.made = 0
        shutil.copytree(given / str(number), self.folder / str(number))

    @property
    def newest(self) -> Path:
        """The newest version's folder."""
        return self.folder / str(newest_version(self.folder))

    def make_newer(self) -> None:
        """Lets the next version appear, and the oldest go."""
        newest = self.newest
        self._write(newest, int(newest.name) + 1)
        self.made += 1
        shutil.rmtree(self.folder / str(int(newest.name) + 1 - KEPT), ignore_errors=True)


def servable_copies(place: Path, given: Path) -> Copies:
    """Returns versions of a servable."""
    return Copies("servable", place, given, _copy)


def index_copies(place: Path, given: Path) -> Copies:
    """Returns versions of an index, which share their files as those of `tfrec index --remove` do."""
    return Copies("index", place, given, _share)


def _copy(version: Path, number: int) -> None:
    with whole_folder(version.parent / str(number)) as partial:
        shutil.copytree(version, partial, dirs_exist_ok=True)


def _share(version: Path, number: int) -> None:
    index = load_index(version)
    index.info = index.info.model_copy(update={"version": number})
    write_index(index, version.parent, base_of=version)
