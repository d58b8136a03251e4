"""Version folders of an index: written whole or not at all, read and checked.

indexes/NAME/<version>/::

    index.json      `IndexInfo`
    base/           the items that the search structure was built of (`Segment`)
    scann/          ScaNN's searcher over them, where it is one
    added/          items added since
    removed.npy     rows of the base taken out since
    queries.npy     queries of users, to measure a search with
    files.json      sizes and checksums of all of these
"""

import os
import shutil
from pathlib import Path

import numpy as np

from tfrec.errors import DataError, SettingsError
from tfrec.folders import newest_version, whole_folder
from tfrec.index.exact import ExactSearch
from tfrec.index.index import Index, Search
from tfrec.index.info import INFO_FILE, IndexInfo
from tfrec.index.manifest import check_manifest, write_manifest
from tfrec.index.scann import ScannSearch
from tfrec.index.segment import Segment

BASE, SCANN, ADDED = "base", "scann", "added"


def load_index(folder: Path) -> Index:
    """Reads a version folder.

    Raises:
        DataError: it is incomplete or damaged.
        MissingExtraError: it needs ScaNN, which is not installed.
    """
    folder = Path(folder)
    info = IndexInfo.load(folder)
    # Exact search reads all embeddings for every query; ScaNN has its own form of them.
    mapped = info.scann is not None
    try:
        check_manifest(folder, mapped=mapped)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error}") from error
    base, added = Segment.load(folder / BASE, mapped=mapped), Segment.load(folder / ADDED)
    search: Search
    if info.scann is None:
        search = ExactSearch(base.embedding)
    else:
        search = ScannSearch.load(folder / SCANN, info.scann)
    try:
        arrays = [np.load(folder / f"{name}.npy") for name in ("removed", "queries")]
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{folder} cannot be read: {error}. Build the index again.") from error
    index = Index(info, base, search, added, *arrays)
    if len(index) != info.items or base.embedding.shape[1:] != (info.dimensions,):
        raise DataError(
            f"{folder} holds {len(index)} items of {base.embedding.shape[1]} dimensions, its {INFO_FILE} "
            f"says {info.items} of {info.dimensions}. Build the index again."
        )
    return index


def load_newest(out: Path) -> Index:
    """Reads the newest version of indexes/NAME.

    Raises:
        DataError: there is none, or it is damaged.
    """
    version = newest_version(out)
    if not version:
        raise DataError(f"{out} holds no version of an index. `tfrec index MODEL --out {out}` writes one.")
    return load_index(Path(out) / str(version))


def write_index(index: Index, out: Path, *, base_of: Path | None = None) -> Path:
    """Writes a version folder, and returns it.

    Args:
        index: whose info names the version.
        out: indexes/NAME.
        base_of: a version folder with the same base, whose files are shared (hard links) instead of written.

    Raises:
        DataError: the version exists, or the place cannot be written to.
        SettingsError: the version is below 1.
    """
    if index.info.version < 1:
        raise SettingsError(f"version={index.info.version}: versions are numbered from 1")
    target = Path(out) / str(index.info.version)
    with whole_folder(target) as folder:
        if base_of is None:
            index.base.save(folder / BASE)
            if isinstance(index.structure, ScannSearch):
                index.structure.save(folder / SCANN)
        else:
            for name in (BASE, SCANN):
                if (base_of / name).exists():
                    shutil.copytree(base_of / name, folder / name, copy_function=_link)
        index.added.save(folder / ADDED)
        for name, array in (("removed", index.removed), ("queries", index.queries)):
            np.save(folder / f"{name}.npy", array)
        (folder / INFO_FILE).write_text(index.info.model_dump_json(indent=1), encoding="utf-8")
        write_manifest(folder)
    return target


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        # No hard links there.
        shutil.copy2(source, target)
