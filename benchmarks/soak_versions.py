"""Newer versions for a soak: what was given, copied under the next number."""

import shutil
from pathlib import Path

from tfrec.folders import newest_version, whole_folder
from tfrec.index.folder import load_index, write_index

KEPT = 2
"""Versions that stay on disk: the one that serves, and the one before."""


class Copies:
    """Versions in a folder of their own, the first a copy of the newest that was given.

    Args:
        place: where the folder is made, with the name of the one given.
        given: NAME/, with version folders.

    Attributes:
        folder: holds the versions.
        made: newer versions since.
    """

    kind = ""

    def __init__(self, place: Path, given: Path) -> None:
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

    def _write(self, newest: Path, number: int) -> None:
        raise NotImplementedError


class ServableCopies(Copies):
    """Versions of a servable."""

    kind = "servable"

    def _write(self, newest: Path, number: int) -> None:
        with whole_folder(self.folder / str(number)) as partial:
            shutil.copytree(newest, partial, dirs_exist_ok=True)


class IndexCopies(Copies):
    """Versions of an index, which share their files as those of `tfrec index --remove` do."""

    kind = "index"

    def _write(self, newest: Path, number: int) -> None:
        index = load_index(newest)
        index.info = index.info.model_copy(update={"version": number})
        write_index(index, self.folder, base_of=newest)
