"""New and removed items, without a new model: each change is a new version beside the one before."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfrec.errors import DataError, SettingsError
from tfrec.folders import newest_version
from tfrec.index.building import build_index
from tfrec.index.folder import load_newest, write_index
from tfrec.index.id_files import read_item_ids
from tfrec.index.ids import NO_ROW, id_array, shown
from tfrec.index.index import Index
from tfrec.index.segment import Segment, joined

MOST_CHANGED = 0.1
"""Beyond this share of the base, added or removed, the search structure is built anew: what is added is
searched item by item."""


def add(out: Path, new: Segment, space: int) -> Path:
    """Writes a version with more items, and returns its folder.

    An item that is there already gets the new embedding.

    Args:
        out: indexes/NAME.
        new: the items.
        space: of the model that embedded them.

    Raises:
        DataError: the index is of another model, damaged, or has other columns.
        SettingsError: what is found is ranked, and new items must not be.
    """
    index = load_newest(out)
    if index.info.space != space:
        raise DataError(
            f"{out}: version {index.info.version} is of another model than the one that embeds the new "
            "items. Build an index of that model first."
        )
    if index.info.has_formula and index.info.answers.unknown_candidates == "refuse":
        raise SettingsError(
            f"{out} ranks what it finds, and its answers refuse candidates that the model does not know. "
            "Export and index with --set answers.unknown_candidates=rank."
        )
    if lacking := sorted(set(index.columns) - set(new.columns)):
        raise DataError(f"the new items lack the columns {', '.join(lacking)}, which {out} is filtered by")
    if new.embedding.shape[1] != index.info.dimensions:
        raise DataError(
            f"the new items have {new.embedding.shape[1]} dimensions, expected {index.info.dimensions}"
        )
    stays = np.flatnonzero(new.ids.rows(index.added.ids.values) == NO_ROW)
    replaced = index.base.ids.rows(new.ids.values)
    removed = np.union1d(index.removed, replaced[replaced != NO_ROW])
    # What the log knows of an item stays true of it.
    new = replace(new, count=np.where(replaced == NO_ROW, new.count, index.base.count[replaced]))
    kept = index.added.take(stays)
    return _write(index, out, joined(kept, new), removed)


def remove(out: Path, raw: Sequence[Any]) -> Path:
    """Writes a version without some items, and returns its folder.

    Args:
        out: indexes/NAME.
        raw: their ids.

    Raises:
        DataError: an item is not in the index; none would be left.
    """
    index = load_newest(out)
    ids = id_array(raw, index.info.item_id_type)
    rows = index.rows(ids)
    if (rows == NO_ROW).any():
        unknown = [shown(value) for value in ids[rows == NO_ROW][:5]]
        raise DataError(f"{out} version {index.info.version} has no items {unknown}; nothing was removed")
    if len(np.unique(rows)) == len(index):
        raise DataError(f"{out}: these are all of its items; an index without items cannot answer")
    early, late = rows[rows < len(index.base)], rows[rows >= len(index.base)] - len(index.base)
    stays = np.setdiff1d(np.arange(len(index.added)), late)
    return _write(index, out, index.added.take(stays), np.union1d(index.removed, early))


def remove_file(out: Path, path: Path) -> Path:
    """Removes the items of a file: Parquet or CSV with a column `item_id`.

    Raises:
        DataError: the file cannot be read; otherwise as `remove`.
        MissingExtraError: Parquet needs pyarrow, which is not installed.
    """
    text = load_newest(out).info.item_id_type == "string"
    return remove(out, read_item_ids(path, text=text))


def _write(index: Index, out: Path, added: Segment, removed: Any) -> Path:
    version = newest_version(out) + 1
    old = Path(out) / str(index.info.version)
    if max(len(added), len(removed)) > MOST_CHANGED * len(index.base):
        alive = np.setdiff1d(np.arange(len(index.base)), removed)
        everything = joined(index.base.take(alive), added)
        info = index.info.model_copy(update={"version": version})
        return write_index(build_index(info, everything, index.queries), out)
    info = index.info.model_copy(
        update={
            "version": version,
            "items": len(index.base) - len(removed) + len(added),
            "added": len(added),
            "removed": len(removed),
        }
    )
    changed = Index(info, index.base, index.structure, added, removed, index.queries)
    return write_index(changed, out, base_of=old)
