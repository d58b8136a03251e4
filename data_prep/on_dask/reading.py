"""A log -> its parts: what its columns are, where the parts begin, and which part each event is of."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, chain
from pathlib import Path

import pandas as pd
import pyarrow as pa

from data_prep.columns import alike, as_text
from data_prep.dataset import ReadLog
from data_prep.drafts import Draft, Forms, LogFacts, forms_of
from data_prep.engines import DaskOptions
from data_prep.files import LogFile
from data_prep.logs import read_rows, require_readable, require_rows
from data_prep.on_dask.exchange import Given, UserSample, give, user_bounds
from data_prep.on_dask.parts import StoredParts
from data_prep.on_dask.pieces import Piece, cut_file
from data_prep.on_dask.rejected import StoredRejected
from data_prep.on_dask.workers import Workers, workers_of
from data_prep.options import PrepareOptions
from data_prep.parts import Work
from data_prep.rejected import RejectedSummary, names_of
from data_prep.report import Report
from data_prep.sources import Source
from data_prep.values import RawIds
from tfrec.errors import DataError

EVENTS_A_PART = 2_000_000
USERS_SAMPLED = 2_000


@contextlib.contextmanager
def reading(
    source: str,
    known: Source,
    paths: Sequence[Path],
    options: PrepareOptions,
    dask: DaskOptions,
    report: Report,
    out: Path,
    told: Callable[[float], None],
) -> Iterator[ReadLog]:
    """Yields a log in parts, which are there as long as the block runs.

    Args:
        source: its name.
        known: of the log.
        paths: files or folders of it.
        options: which columns to read.
        dask: where and how Dask works.
        report: hears how many rows there are.
        out: the dataset's folder, beside which parts wait.
        told: is given the share of a pass that is done.

    Raises:
        SettingsError: no scheduler answers.
        DataError: the log has no rows, a file cannot be read or lacks a column, or more rows are unreadable
            than is allowed.
    """
    files = known.files(paths, options)
    items = None if known.items is None else known.items(paths)
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f".{out.name}.parts-*"):  # of a run that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.parts-", dir=out.parent) as folder:
        scratch = Path(folder).absolute()
        with _room_needed(scratch), workers_of(dask, scratch / "workers") as workers:
            read = _Reader(workers, options, scratch, told)
            parts, rejected = read.parts_of(files, dask, report)
            yield ReadLog(source, Work(StoredParts(workers, parts, scratch, told), report), rejected, items)


@contextlib.contextmanager
def _room_needed(scratch: Path) -> Iterator[None]:
    """What the system refuses here is to write parts: of the log, what cannot be read is said already."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"working on parts of the log in {scratch.parent} failed: {error.strerror or error}. They take "
            "about as much room as the log does in memory. Nothing was left behind."
        ) from error


class _Reader:
    def __init__(
        self, workers: Workers, options: PrepareOptions, scratch: Path, told: Callable[[float], None]
    ) -> None:
        self._workers, self._options, self._scratch, self._told = workers, options, scratch, told

    def parts_of(
        self, files: Sequence[LogFile], dask: DaskOptions, report: Report
    ) -> tuple[list[Given], StoredRejected]:
        """Reads all files twice: to see what their columns are, and to give their events to parts."""
        options, told = self._options, self._told
        cut = partial(cut_file, rows=dask.piece_rows, scratch=self._scratch)
        pieces = list(chain(*self._workers.map(cut, files, range(len(files)))))
        job = _Job(options, self._scratch, names_of([file.path for file in files]))
        looked = self._workers.map(partial(_look, job), pieces, told=lambda share: told(share / 3))
        if not alike([piece.schema for piece in looked]):
            job = replace(job, text=True)
            looked = self._workers.map(partial(_look, job), pieces)
        rows = sum(piece.rows + piece.broken for piece in looked)
        require_rows(rows, [file.path for file in files])
        forms = forms_of([piece.facts for piece in looked], options)
        samples = [piece.sample(forms, options.user) for piece in looked]
        bounds = user_bounds(samples, dask.partitions or -(-rows // EVENTS_A_PART))
        first_rows = accumulate((piece.rows for piece in looked), initial=0)
        numbers = range(len(pieces))
        exchange = partial(_exchange, job, forms, bounds)
        done = self._workers.map(
            exchange, numbers, list(first_rows)[:-1], pieces, told=lambda share: told((1 + 2 * share) / 3)
        )
        rejected = RejectedSummary.together([piece.rejected for piece in done])
        readable = sum(piece.readable for piece in done)
        unit, all_readable = done[0].unit, all(piece.times_readable for piece in done)
        require_readable(rejected, rows, readable, options, unit, times_readable=all_readable)
        report.add(f"rows read (times: {unit})", 0, rows)
        report.add("unreadable rows, set aside", rejected.rows, readable)
        given = [Given([job.events(n) for n in numbers], part) for part in range(len(bounds) + 1)]
        return given, StoredRejected([job.rejected(n) for n in numbers], rejected.rows)


@dataclass(frozen=True)
class _Looked:
    """What is seen in a piece before it is known what the columns of the log are."""

    rows: int
    broken: int
    schema: pa.Schema
    facts: LogFacts
    users: RawIds

    def sample(self, forms: Forms, user: str) -> UserSample:
        column = self.users.column(integers=forms.integers[user])
        return UserSample(column.values[column.codes], self.rows / max(1, len(column.codes)))


@dataclass(frozen=True)
class _Exchanged:
    """What became of a piece."""

    readable: int
    rejected: RejectedSummary
    unit: str
    times_readable: bool


@dataclass(frozen=True)
class _Job:
    """What all pieces share."""

    options: PrepareOptions
    scratch: Path
    names: dict[Path, str]
    text: bool = False
    """Whether columns become text, since files do not agree on their types."""

    def events(self, number: int) -> Path:
        return self.scratch / f"{number}.events"

    def rejected(self, number: int) -> Path:
        return self.scratch / f"{number}.rejected"


def _look(job: _Job, piece: Piece) -> _Looked:
    file = piece.read()
    table = as_text(file.table) if job.text else file.table
    draft = Draft(table, job.options)
    users = draft.sample(job.options.user, USERS_SAMPLED)
    return _Looked(table.num_rows, len(file.broken), file.table.schema, draft.facts(), users)


def _exchange(
    job: _Job, forms: Forms, bounds: pd.Index, number: int, first_row: int, piece: Piece
) -> _Exchanged:
    file = piece.read()
    table = as_text(file.table) if job.text else file.table
    draft = Draft(table, job.options)
    found = read_rows([file], table, draft, forms, job.options, first_row=first_row, names=job.names)
    give(found.log, bounds, job.events(number))
    found.rejected.to_pickle(job.rejected(number))
    pa.default_memory_pool().release_unused()
    summary = RejectedSummary.of(found.rejected)
    return _Exchanged(len(found.log), summary, found.time_unit, found.times_readable)
