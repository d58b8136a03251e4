"""Files of a log as Arrow tables: CSV, Parquet and JSON lines, gzipped or not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from tfrec.errors import DataError

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}
SNIFFED = 4096


@dataclass
class FileTable:
    """The columns of a file, and the lines that are no rows.

    Attributes:
        path: of the file.
        table: its rows.
        first_row: number of the table's first row in the file, from 1; a header is a row.
        broken: (row number, text) of lines with too few or too many fields.
    """

    path: Path
    table: pa.Table
    first_row: int = 1
    broken: list[tuple[int, str]] = field(default_factory=list)


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Returns the files of a log: those named, and those in the folders named, by sorted name.

    Raises:
        DataError: one is not there, or a folder holds no file of a known kind.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and _kind_by_name(p))
            if not inside:
                raise DataError(f"{path}: the folder holds no file ending in {', '.join(SUFFIXES)} (or .gz)")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    if not found:
        raise DataError("no log was named: give a file, several, or a folder")
    return found


def read_file(path: Path, columns: Sequence[str] | None = None, *, delimiter: str | None = None) -> FileTable:
    """Reads a file's columns; those of text files as strings.

    Args:
        path: of the file.
        columns: which; None: all.
        delimiter: of a text file; None: as its name says.

    Raises:
        DataError: the file is empty, binary, unreadable, or lacks a column.
    """
    try:
        kind = _kind_by_name(path) or _kind_by_content(path)
        if kind == "parquet":
            names = pq.read_schema(path).names
            return FileTable(path, pq.read_table(path, columns=_present(path, columns, names)))
        _refuse_binary(path)
        if kind == "json":
            table = pa_json.read_json(pa.input_stream(str(path), compression="detect"))
            return FileTable(path, table.select(_present(path, columns, table.column_names)))
        return _read_text(path, columns, delimiter or ("\t" if kind == "tsv" else ","))
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {str(error)[:300]}") from error


def read_files(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Iterator[FileTable]:
    """Reads the files of a log one after another."""
    for path in list_files(paths):
        yield read_file(path, columns)


def _read_text(path: Path, columns: Sequence[str] | None, delimiter: str) -> FileTable:
    broken: list[tuple[int, str]] = []

    def keep(row: pa_csv.InvalidRow) -> str:
        broken.append((int(row.number or 0), row.text))
        return "skip"

    parse = pa_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=keep)
    with pa.input_stream(str(path), compression="detect") as stream:
        header = stream.read(1 << 20).split(b"\n", 1)[0]
    if not header.strip():
        raise DataError(f"{path} is empty: expected a header with the names of columns, and rows below it")
    names = pa_csv.read_csv(pa.BufferReader(header + b"\n"), parse_options=parse).column_names
    wanted = _present(path, columns, names)
    with pa.input_stream(str(path), compression="detect") as stream:
        table = pa_csv.read_csv(
            stream,
            read_options=pa_csv.ReadOptions(use_threads=False),
            parse_options=parse,
            convert_options=pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted},
                include_columns=wanted,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    return FileTable(path, table, first_row=2, broken=broken)


def _present(path: Path, columns: Sequence[str] | None, names: Sequence[str]) -> list[str]:
    """The columns to read; all must be there."""
    import difflib

    for column in columns or ():
        if column not in names:
            near = difflib.get_close_matches(column, names, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(
                f"{path} has no column {column!r}; its columns are {', '.join(map(repr, names))}.{hint} "
                "Name the columns with --user, --item, --time."
            )
    return list(dict.fromkeys(columns)) if columns is not None else list(names)


def _kind_by_name(path: Path) -> str | None:
    suffixes = [s for s in path.suffixes if s != ".gz"]
    return SUFFIXES.get(suffixes[-1].lower()) if suffixes else None


def _kind_by_content(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(SNIFFED)
    if start.startswith(b"PAR1"):
        return "parquet"
    return "json" if start.lstrip().startswith(b"{") else "csv"


def _refuse_binary(path: Path) -> None:
    with pa.input_stream(str(path), compression="detect") as stream:
        if b"\0" in stream.read(SNIFFED):
            raise DataError(f"{path} is a binary file; a log is CSV, Parquet or JSON lines")
