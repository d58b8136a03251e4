"""Rows set aside, each with its file, its number and the reason."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.file_table import FileTable

EXAMPLES = 3
BROKEN = "the line is no row: fields too few or too many, or no JSON object"


def rejected_rows(
    files: Sequence[FileTable], table: pa.Table, bad: np.ndarray, reasons: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Returns the rows set aside, and the lines that are no rows: `file`, `row_number`, `reason`, raw fields.

    Args:
        files: that were read.
        table: their rows, one after another.
        bad: [rows] bool.
        reasons: [rows] bool, where each holds; the first that does is a row's.
    """
    at = np.flatnonzero(bad)
    begins = np.cumsum([0, *(f.table.num_rows for f in files)])
    of_file = np.searchsorted(begins, at, side="right") - 1
    numbers = [file.row_numbers(at[of_file == number] - begins[number]) for number, file in enumerate(files)]
    names = _names(files)
    which = np.select([holds[at] for holds in reasons.values()], range(len(reasons)))
    fields = table.take(pa.array(at)).to_pandas()
    rows = pd.DataFrame(
        {
            "file": names[of_file],
            "row_number": np.concatenate(numbers).astype(np.int64),
            "reason": np.array([*reasons], dtype=object)[which],
            **{name: fields[name].astype("string") for name in fields.columns},
        }
    )
    broken = [
        {"file": name, "row_number": number, "reason": BROKEN, "text": text}
        for name, file in zip(names, files, strict=True)
        for number, text in file.broken
    ]
    return pd.concat([rows, pd.DataFrame(broken)], ignore_index=True) if broken else rows


def too_many(rejected: pd.DataFrame, rows: int, allowed: float, columns: Sequence[str]) -> str:
    """Returns what to say where more rows are set aside than is allowed."""
    counts = "; ".join(f"{n:,} times {reason}" for reason, n in rejected["reason"].value_counts().items())
    examples = "; ".join(
        f"{row['file']}, row {row['row_number']}: " + ", ".join(_shown(row, columns))
        for row in rejected.head(EXAMPLES).to_dict("records")
    )
    return (
        f"{len(rejected):,} of {rows:,} rows cannot be read, more than --max-rejected-share {allowed:g} "
        f"allows. Nothing was written. {counts}. For example {examples}"
    )


def _names(files: Sequence[FileTable]) -> np.ndarray:
    """Names of files, with their folders where two have one name."""
    names = [f.path.name for f in files]
    unique = len(set(names)) == len(names)
    return np.array(names if unique else [str(f.path) for f in files], dtype=object)


def _shown(row: Mapping[Any, Any], columns: Sequence[str]) -> list[str]:
    """The fields of a row, cut to what fits a message; of a line that is no row, the line."""
    if not pd.isna(row.get("text")):
        return [repr(str(row["text"])[:80])]
    return [f"{name}={'(missing)' if pd.isna(row[name]) else repr(str(row[name])[:40])}" for name in columns]
