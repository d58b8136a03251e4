"""Folders that are written whole or not at all: written beside their place, then renamed."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from tfrec.errors import DataError


@contextlib.contextmanager
def whole_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields a new folder beside `target`, which becomes `target` when the block ends well.

    When the block raises, the new folder is removed and `target` is as it was. When the process
    is killed, what remains is a hidden folder `.NAME.partial-…`, which nothing ever reads and
    the next call for the same target removes. (Killed between the two renames of an overwrite, it
    leaves the old folder as `.NAME.replaced-…`, which the next call puts back.)

    Args:
        target: the folder to write. Its parents are created.
        overwrite: replace a folder that is there; else its presence is an error.

    Raises:
        DataError: `target` exists and `overwrite` is off, or the place cannot be written to.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _restore(target)
        if target.exists() and not overwrite:
            raise DataError(f"{target} exists already. Name another folder, or say --overwrite.")
        remove_partial(target)
        partial = target.parent / f".{target.name}.partial-{uuid.uuid4().hex[:8]}"
        partial.mkdir()
    except OSError as error:
        raise DataError(
            f"cannot write to {target.parent}: {error.strerror}. Check its permissions."
        ) from error
    try:
        yield partial
        _sync(partial)
        _swap(partial, target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if error.errno is None or isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"writing {target} failed: {error.strerror}. Nothing was left behind.") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def newest_version(folder: Path) -> int:
    """Returns the highest number that a subfolder has for its name: 0, where none has."""
    folder = Path(folder)
    found = [int(path.name) for path in folder.glob("*") if path.name.isdigit()] if folder.exists() else []
    return max(found, default=0)


def remove_partial(target: Path) -> None:
    """Removes what a killed writer of `target` has left beside it."""
    for left in target.parent.glob(f".{target.name}.partial-*"):
        shutil.rmtree(left, ignore_errors=True)


def _restore(target: Path) -> None:
    """Puts back what a writer had moved aside when it was killed between the renames of `_swap`."""
    for aside in target.parent.glob(f".{target.name}.replaced-*"):
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(target)


def _swap(partial: Path, target: Path) -> None:
    """Renames `partial` to `target`; a folder that is in the way is moved aside first."""
    if target.exists():
        aside = target.parent / f".{target.name}.replaced-{uuid.uuid4().hex[:8]}"
        target.rename(aside)
        partial.rename(target)
        shutil.rmtree(aside, ignore_errors=True)
    else:
        partial.rename(target)


def _sync(folder: Path) -> None:
    """Flushes the files to disk, so that the rename never outlives their content."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
