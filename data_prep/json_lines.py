"""JSON lines: one object a line."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from data_prep.file_table import FileTable, present
from tfrec.errors import DataError

EXACT = 2**53


def read_json_lines(path: Path, columns: Sequence[str] | None = None) -> FileTable:
    """Reads a file's columns as Arrow does; where Arrow refuses the file, line by line and as strings.

    Raises:
        DataError: no line is an object, or none has a column.
    """
    try:
        table = _by_arrow(path)
        table.validate(full=True)
    except pa.ArrowInvalid:  # a line is no JSON or no UTF-8, or a column is not of one type
        return _by_line(path, columns)
    wanted = table.select(present(path, columns, table.column_names))
    return _by_line(path, columns) if _loses_digits(wanted) else FileTable(path, wanted)


def _by_arrow(path: Path) -> pa.Table:
    with pa.input_stream(str(path), compression="detect") as stream:
        table = pa_json.read_json(stream)
    moments = [(f.name, pa.string()) for f in table.schema if pa.types.is_temporal(f.type)]
    if not moments:
        return table
    # Text that looks like a moment was read as one; an id that does must stay as it is.
    with pa.input_stream(str(path), compression="detect") as stream:
        return pa_json.read_json(
            stream, parse_options=pa_json.ParseOptions(explicit_schema=pa.schema(moments))
        )


def _loses_digits(table: pa.Table) -> bool:
    """Integers beyond 64 bits were read as floats, which hold 53."""
    floats = [table[f.name] for f in table.schema if pa.types.is_floating(f.type)]
    return any((pc.max(pc.abs(column)).as_py() or 0) >= EXACT for column in floats)


def _by_line(path: Path, columns: Sequence[str] | None) -> FileTable:
    broken: list[tuple[int, str]] = []
    objects = list(_objects(path, broken))
    if not objects:
        raise DataError(f"{path}: no line is a JSON object; expected JSON lines, one object a line")
    names = list(dict.fromkeys(name for fields in objects for name in fields))
    wanted = present(path, columns, names)
    arrays = {name: pa.array([_text(fields.get(name)) for fields in objects], pa.string()) for name in wanted}
    return FileTable(path, pa.table(arrays), broken=broken)


def _objects(path: Path, broken: list[tuple[int, str]]) -> Iterator[dict[str, Any]]:
    """Yields the objects, and notes the lines that are none."""
    with pa.input_stream(str(path), compression="detect") as stream:
        lines = [line for line in stream.read().split(b"\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
        except ValueError:  # UnicodeDecodeError is one
            fields = None
        if isinstance(fields, dict):
            yield fields
        else:
            broken.append((number, line.decode(errors="replace")))


def _text(value: Any) -> str | None:
    """A value as text; NaN, which some writers put into JSON, is none."""
    if value is None or value != value:
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
