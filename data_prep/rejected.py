"""Rows set aside, each with its file, its number and the reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from data_prep.file_table import FileTable

EXAMPLES = 3
BROKEN = "the line is no row: fields too few or too many, or no JSON object"


@dataclass(frozen=True)
class RejectedSummary:
    """What a message says of rows set aside.

    Attributes:
        counts: how many have each reason, in the order in which the reasons come first.
        examples: the first of the rows.
    """

    counts: Mapping[str, int]
    examples: pd.DataFrame

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @classmethod
    def of(cls, rejected: pd.DataFrame) -> "RejectedSummary":
        """Returns that of a table of rows set aside."""
        counts = rejected["reason"].value_counts(sort=False)
        return cls({str(reason): int(n) for reason, n in counts.items()}, rejected.head(EXAMPLES))

    @classmethod
    def together(cls, parts: "Sequence[RejectedSummary]") -> "RejectedSummary":
        """Returns that of all parts of a log."""
        counts: Counter[str] = Counter()
        for part in parts:
            counts.update(part.counts)
        return cls(counts, pd.concat([part.examples for part in parts], ignore_index=True).head(EXAMPLES))


def rejected_rows(
    files: Sequence[FileTable],
    table: pa.Table,
    bad: np.ndarray,
    reasons: Mapping[str, np.ndarray],
    names: Mapping[Path, str] | None = None,
) -> pd.DataFrame:
    """Returns the rows set aside, and the lines that are no rows: `file`, `row_number`, `reason`, raw fields.

    Args:
        files: that were read.
        table: their rows, one after another.
        bad: [rows] bool.
        reasons: [rows] bool, where each holds; the first that does is a row's.
        names: of files for the column `file`; None: these are all files, by `names_of`.
    """
    names = names or names_of([f.path for f in files])
    at = np.flatnonzero(bad)
    begins = np.cumsum([0, *(f.table.num_rows for f in files)])
    of_file = np.searchsorted(begins, at, side="right") - 1
    numbers = [file.row_numbers(at[of_file == number] - begins[number]) for number, file in enumerate(files)]
    which = np.select([holds[at] for holds in reasons.values()], range(len(reasons)))
    # By Arrow's types an integer beside missing ones stays an integer.
    fields = table.take(pa.array(at)).to_pandas(types_mapper=pd.ArrowDtype)
    rows = pd.DataFrame(
        {
            "file": np.array([names[f.path] for f in files], dtype=object)[of_file],
            "row_number": np.concatenate(numbers).astype(np.int64),
            "reason": np.array([*reasons], dtype=object)[which],
            **{name: fields[name].astype("string") for name in fields.columns},
        }
    )
    broken = [
        {"file": names[file.path], "row_number": number, "reason": BROKEN, "text": text}
        for file in files
        for number, text in file.broken
    ]
    return pd.concat([rows, pd.DataFrame(broken)], ignore_index=True) if broken else rows


def too_many(rejected: RejectedSummary, rows: int, allowed: float, columns: Sequence[str]) -> str:
    """Returns what to say where more rows are set aside than is allowed."""
    most_first = sorted(rejected.counts.items(), key=lambda one: -one[1])
    counts = "; ".join(f"{n:,} times {reason}" for reason, n in most_first)
    examples = "; ".join(
        f"{row['file']}, row {row['row_number']}: " + ", ".join(_shown(row, columns))
        for row in rejected.examples.to_dict("records")
    )
    return (
        f"{rejected.rows:,} of {rows:,} rows cannot be read, more than --max-rejected-share {allowed:g} "
        f"allows. Nothing was written. {counts}. For example {examples}"
    )


def names_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Returns the names of files, with their folders where two have one name."""
    once = list(dict.fromkeys(paths))
    unique = len({path.name for path in once}) == len(once)
    return {path: path.name if unique else str(path) for path in once}


def _shown(row: Mapping[Any, Any], columns: Sequence[str]) -> list[str]:
    """The fields of a row, cut to what fits a message; of a line that is no row, the line."""
    if not pd.isna(row.get("text")):
        return [repr(str(row["text"])[:80])]
    return [f"{name}={'(missing)' if pd.isna(row[name]) else repr(str(row[name])[:40])}" for name in columns]
