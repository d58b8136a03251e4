"""Events go from pieces of files to the parts of their users."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.log import Log
from data_prep.on_dask.tables import log_of, table_of
from data_prep.parts import Part


@dataclass(frozen=True)
class UserSample:
    """Some of the users of a piece.

    Attributes:
        values: their raw ids, one for each event that was looked at.
        weight: how many events each stands for.
    """

    values: pd.Index
    weight: float


def user_bounds(samples: Sequence[UserSample], parts: int) -> pd.Index:
    """Returns the users with which all parts but the first begin, so that they get about as many events each.

    Args:
        samples: of all pieces.
        parts: how many there are to be; fewer, where one user has more events than a part.
    """
    filled = [sample for sample in samples if len(sample.values)]
    if not filled:
        return samples[0].values
    values = filled[0].values.append([sample.values for sample in filled[1:]])
    weights = np.concatenate([np.full(len(sample.values), sample.weight) for sample in filled])
    order = values.argsort()
    ends = np.cumsum(weights[order])
    at = np.searchsorted(ends, ends[-1] * np.arange(1, parts) / parts, side="right")
    return values[order][at].unique()


def give(log: Log, bounds: pd.Index, path: Path) -> None:
    """Writes the events of a piece, a batch for each part, into a file."""
    place = np.searchsorted(bounds.to_numpy(), log.user.values.to_numpy(), side="right")[log.user.codes]
    order = np.argsort(place, kind="stable")
    table = table_of(log.take(order)).combine_chunks()
    ends = np.searchsorted(place[order], np.arange(len(bounds) + 1), side="right")
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as file:
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            file.write_batch(_batch(table.slice(begin, end - begin)))


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


@dataclass(frozen=True)
class Given:
    """A part, as the pieces have given it.

    Attributes:
        files: of all pieces, in their order.
        number: of the part.
    """

    files: Sequence[Path]
    number: int

    def load(self) -> Part:
        """Reads it: its events stand in the order of the log."""
        batches = []
        for path in self.files:
            with pa.memory_map(str(path)) as source:
                batches.append(pa.ipc.open_file(source).get_batch(self.number))
        return Part(log_of(pa.Table.from_batches(batches)))
