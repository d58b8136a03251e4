"""Raw values of any file as codes and numbers; what is missing is marked."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.log import Column

MAX_ID_BYTES = 1024


@dataclass(frozen=True)
class Numbers:
    """Whether the values of a column, or of a part of it, are numbers.

    Attributes:
        all: none of them is anything else.
        any: there is a value.
    """

    all: bool
    any: bool

    @classmethod
    def together(cls, parts: "Iterable[Numbers]") -> "Numbers":
        """Returns the answer for all parts of a column."""
        parts = list(parts)
        return cls(all(part.all for part in parts), any(part.any for part in parts))

    def __bool__(self) -> bool:
        return self.all and self.any


@dataclass(frozen=True)
class RawIds:
    """Ids as a file has them, each once, before it is known what they are in the whole log.

    Attributes:
        codes: [E] int32, place of each row's id in `values`; -1 where it is missing.
        values: integers, floats or text.
    """

    codes: np.ndarray
    values: pa.Array

    def integers(self) -> Numbers:
        """Returns whether all ids are integers of 64 bits: text that would be written the same again."""
        try:
            whole = self.values.cast(pa.int64())
        except pa.ArrowInvalid:
            return Numbers(False, True)
        if not pa.types.is_string(self.values.type):
            return Numbers(True, True)
        same = pc.all(pc.equal(whole.cast(pa.string()), self.values), min_count=0).as_py()
        return Numbers(same, len(whole) > 0)

    def some(self, count: int) -> "RawIds":
        """Returns the ids of at most so many rows, spread over all of them, without missing ones."""
        codes = self.codes[:: -(-len(self.codes) // count) or 1]
        return raw_ids(self.values.take(pa.array(codes[codes >= 0])))

    def column(self, *, integers: bool) -> Column:
        """Returns the ids as integers, or as text."""
        if integers:
            whole = self.values.cast(pa.int64()).to_numpy(zero_copy_only=False)
            return Column(self.codes, pd.Index(whole, dtype="int64"))
        return Column(self.codes, pd.Index(self.values.cast(pa.string()).to_pylist(), dtype=object))


def raw_ids(values: pa.Array) -> RawIds:
    """Returns the ids of a column. Missing values, empty text and NaN have the code -1.

    Args:
        values: integers, floats, text, or what can be written as text.

    Raises:
        pa.ArrowException: the values are of a type that has no text.
    """
    if pa.types.is_floating(values.type):
        values = pc.add(pc.if_else(pc.is_finite(values), values, None), 0.0)  # -0.0 is 0.0
    elif not pa.types.is_integer(values.type):
        values = values.cast(pa.string())
        values = pc.if_else(pc.equal(values, ""), None, values)
    encoded = values.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return RawIds(codes, encoded.dictionary)


def encode(values: pa.Array, *, integers: bool = True) -> Column:
    """Returns the codes and values of a column of ids: integers where all are, else strings.

    Text is an integer only where it would be written the same again ("007" stays text).

    Args:
        values: as of `raw_ids`.
        integers: whether text may become integers.

    Raises:
        pa.ArrowException: the values are of a type that has no text.
    """
    raw = raw_ids(values)
    return raw.column(integers=bool(integers and raw.integers()))


def too_long(column: Column) -> np.ndarray:
    """[E] bool: which ids take more than MAX_ID_BYTES bytes."""
    if column.values.dtype.kind in "iu" or not len(column.values):
        return np.zeros(len(column.codes), bool)
    long = np.fromiter((len(v.encode()) > MAX_ID_BYTES for v in column.values), bool, len(column.values))
    return long[column.codes] & (column.codes >= 0)


def undecoded(column: Column) -> np.ndarray:
    """[E] bool: which ids hold U+FFFD, which stands for what was no UTF-8."""
    if column.values.dtype.kind in "iu" or not len(column.values):
        return np.zeros(len(column.codes), bool)
    return column.values.str.contains("\ufffd", regex=False)[column.codes] & (column.codes >= 0)


def as_numbers(values: pa.Array) -> np.ndarray:
    """Returns values as [E] float64, NaN where one is no number."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return pd.to_numeric(values.to_pandas(), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def read_context(values: pa.Array, kind: str) -> Column | np.ndarray:
    """Reads a context column: numbers where all values are (or it is said so), else categories.

    A number that is not finite as a float32 is missing.

    Raises:
        pa.ArrowException: the values are of a type that has neither.
    """
    if kind == "auto":
        kind = "numeric" if numbers_of(values) else "categorical"
    if kind == "numeric":
        return narrowed(as_numbers(values))
    return encode(values.cast(pa.string()), integers=False)


def numbers_of(values: pa.Array) -> Numbers:
    """Returns whether all values of a context column that are there are numbers."""
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        return Numbers(True, True)
    if pa.types.is_boolean(values.type):
        return Numbers(False, True)
    given = len(values) - values.null_count
    return Numbers(bool(np.isfinite(as_numbers(values.cast(pa.string()))).sum() == given), given > 0)


def narrowed(numbers: np.ndarray) -> np.ndarray:
    """Returns numbers as float32, NaN where one is not finite as such."""
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float32)
    return np.where(np.isfinite(narrow), narrow, np.float32(np.nan))
