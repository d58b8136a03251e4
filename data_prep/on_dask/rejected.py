"""Rows set aside by many processes, in one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.rejected import BROKEN


@dataclass(frozen=True)
class StoredRejected:
    """Rows set aside, in a file a piece, in the order of the log.

    Attributes:
        paths: of the files.
        rows: how many there are in all.
    """

    paths: Sequence[Path]
    rows: int

    def __len__(self) -> int:
        return self.rows

    def to_parquet(self, path: Path, *, index: Literal[False]) -> None:
        """Writes them into a file: lines that are no rows after all others, as of a log in memory."""
        first = pd.concat([pd.read_pickle(piece).groupby("reason").head(1) for piece in self.paths])
        schema = pa.Schema.from_pandas(first, preserve_index=index)
        with pq.ParquetWriter(path, schema) as file:
            for lines in (False, True):
                for piece in self.paths:
                    frame = pd.read_pickle(piece)
                    frame = frame[(frame["reason"] == BROKEN) == lines].reindex(columns=schema.names)
                    if len(frame):
                        file.write_table(pa.Table.from_pandas(frame, schema, preserve_index=index))
