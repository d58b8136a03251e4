"""A segment of an index: items with their embeddings and what requests filter by."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.index.heirs import NOBODY, Heirs
from tfrec.index.ids import ItemIds

COLUMNS_FILE = "columns.json"
NO_CODE = -1


@dataclass(frozen=True, eq=False)
class Column:
    """A feature with one value an item.

    Attributes:
        values: [V] S, each once.
        codes: [N] int32, places in `values`; NO_CODE where an item has none.
    """

    values: NDArray[Any]
    codes: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Segment:
    """Some items of an index.

    Attributes:
        ids: of the items.
        embedding: [N, D + 1] float32; of a segment that was loaded, a map of the file, not memory.
        count: [N] int64, events of each in training.
        new: [N] bool, which came after the model: its encoder does not know them.
        columns: by name.
        heirs: which of them inherit of what they are like.
    """

    ids: ItemIds
    embedding: NDArray[np.float32]
    count: NDArray[np.int64]
    new: NDArray[np.bool_]
    columns: Mapping[str, Column] = field(default_factory=dict)
    heirs: Heirs = NOBODY

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> "Segment":
        """Returns the segment of some rows, in their order."""
        columns = {name: Column(c.values, c.codes[rows]) for name, c in self.columns.items()}
        embedding = np.asarray(self.embedding[rows])
        ids = ItemIds(self.ids.values[rows])
        heirs = self.heirs.take(rows, len(self))
        return Segment(ids, embedding, self.count[rows], self.new[rows], columns, heirs)

    def save(self, folder: Path) -> None:
        """Writes it into a new folder."""
        folder.mkdir()
        np.save(folder / "item_id.npy", self.ids.values)
        np.save(folder / "embedding.npy", self.embedding)
        np.save(folder / "count.npy", self.count)
        np.save(folder / "new.npy", self.new)
        self.heirs.save(folder)
        (folder / COLUMNS_FILE).write_text(json.dumps(list(self.columns)), encoding="utf-8")
        # Numbered: a column's name need not be one of a file.
        for number, column in enumerate(self.columns.values()):
            np.save(folder / f"column-{number}.values.npy", column.values)
            np.save(folder / f"column-{number}.codes.npy", column.codes)

    @classmethod
    def load(cls, folder: Path, *, mapped: bool = False) -> "Segment":
        """Reads what `save` has written.

        Args:
            folder: where it lies.
            mapped: ids and embeddings stay on disk until they are looked at.

        Raises:
            DataError: a file is missing, cut off, or of another length.
        """
        try:
            ids = ItemIds(np.load(folder / "item_id.npy", mmap_mode="r" if mapped else None))
            embedding = np.load(folder / "embedding.npy", mmap_mode="r" if mapped else None)
            count, new = np.load(folder / "count.npy"), np.load(folder / "new.npy")
            heirs = Heirs.load(folder)
            names = json.loads((folder / COLUMNS_FILE).read_text(encoding="utf-8"))
            columns = {
                name: Column(
                    np.load(folder / f"column-{number}.values.npy"),
                    np.load(folder / f"column-{number}.codes.npy"),
                )
                for number, name in enumerate(names)
            }
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{folder} is no part of an index: {error}. Build the index again.") from error
        lengths = {"embedding": len(embedding), "count": len(count), "new": len(new)}
        for name, length in (lengths | {name: len(c.codes) for name, c in columns.items()}).items():
            if length != len(ids):
                raise DataError(f"{folder}: {name} has {length} lines, expected one an item: {len(ids)}")
        return cls(ids, embedding, count, new, columns, heirs)


def joined(first: Segment, second: Segment) -> Segment:
    """Returns the items of both, those of the first first; the columns are those of the first."""
    return Segment(
        ItemIds(np.concatenate([first.ids.values, second.ids.values])),
        np.concatenate([first.embedding, second.embedding]),
        np.concatenate([first.count, second.count]),
        np.concatenate([first.new, second.new]),
        joined_columns(first, second),
        first.heirs.followed_by(second.heirs, len(first)),
    )


def joined_columns(first: Segment, second: Segment) -> dict[str, Column]:
    """Returns the columns of the first over the items of both."""
    return {name: _joined(column, second.columns[name]) for name, column in first.columns.items()}


def _joined(first: Column, second: Column) -> Column:
    values, place = np.unique(np.concatenate([first.values, second.values]), return_inverse=True)
    split = len(first.values)
    codes = _recoded(first.codes, place[:split]), _recoded(second.codes, place[split:])
    return Column(values, np.concatenate(codes))


def column_of(values: list[str | None]) -> Column:
    """Returns the column of values, one an item; None for none."""
    known = [value.encode() for value in values if value is not None]
    distinct, place = np.unique(np.array(known, "S" if known else "S1"), return_inverse=True)
    codes = np.full(len(values), NO_CODE, np.int32)
    codes[[value is not None for value in values]] = place
    return Column(distinct, codes)


def _recoded(codes: NDArray[np.int32], place: NDArray[Any]) -> NDArray[np.int32]:
    """Codes as places in other values."""
    return np.append(place, NO_CODE)[codes].astype(np.int32)
