"""Raw values of any file as codes and numbers; what is missing is marked."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.log import Column

MAX_ID_BYTES = 1024


def encode(values: pa.Array, *, integers: bool = True) -> Column:
    """Returns the codes and values of a column of ids: integers where all are, else strings.

    Text is an integer only where it would be written the same again ("007" stays text). Missing
    values, empty text and NaN have the code -1.

    Args:
        values: integers, floats, text, or what can be written as text.
        integers: whether text may become integers.

    Raises:
        pa.ArrowException: the values are of a type that has no text.
    """
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_finite(values), values, None)
        if pc.all(pc.fill_null(pc.equal(values, pc.floor(values)), True)).as_py():
            values = _cast_or_text(values)
    if not pa.types.is_integer(values.type):
        values = values.cast(pa.string())
        values = pc.if_else(pc.equal(values, ""), None, values)
    encoded = values.dictionary_encode()
    uniques = _as_integers(encoded.dictionary) if integers else encoded.dictionary
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    if pa.types.is_integer(uniques.type):
        return Column(codes, pd.Index(uniques.to_numpy(zero_copy_only=False), dtype="int64"))
    return Column(codes, pd.Index(uniques.to_pylist(), dtype=object))


def _as_integers(uniques: pa.Array) -> pa.Array:
    """Text as int64, where every value is an integer as Python writes it."""
    if pa.types.is_integer(uniques.type):
        return _cast_or_text(uniques)
    try:
        integers = uniques.cast(pa.int64())
    except pa.ArrowInvalid:
        return uniques
    same = pc.all(pc.equal(integers.cast(pa.string()), uniques)).as_py()
    return integers if same and len(uniques) else uniques


def _cast_or_text(values: pa.Array) -> pa.Array:
    """Numbers as int64; as text where one is beyond 64 bits, as hashes can be."""
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        return values.cast(pa.string())


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
    numbers = None
    if kind != "categorical":
        numbers = as_numbers(values) if kind == "numeric" else _numbers_of_all(values)
    if numbers is not None:
        return narrowed(numbers)
    return encode(values.cast(pa.string()), integers=False)


def narrowed(numbers: np.ndarray) -> np.ndarray:
    """Returns numbers as float32, NaN where one is not finite as such."""
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float32)
    return np.where(np.isfinite(narrow), narrow, np.float32(np.nan))


def _numbers_of_all(values: pa.Array) -> np.ndarray | None:
    """Numbers, where every value that is there is one."""
    if pa.types.is_floating(values.type) or pa.types.is_integer(values.type):
        return as_numbers(values)
    if pa.types.is_boolean(values.type):
        return None
    numbers = as_numbers(values.cast(pa.string()))
    given = len(values) - values.null_count
    return numbers if given and np.isfinite(numbers).sum() == given else None
