"""A log -> dataset/: read, clean, cut into sessions, split, write; whole or not at all."""

import platform
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console

import tfrec
from data_prep import sessions, splits
from data_prep.catalogue import Catalogue, build_catalogue
from data_prep.cleaning import clean
from data_prep.facts import context_facts, count, found_repeats, has_clock_times
from data_prep.log import Column, Log
from data_prep.options import PrepareOptions
from data_prep.progress import steps_of
from data_prep.report import Report
from data_prep.sequences import SequenceTable, write_sequences
from data_prep.sources import SOURCES, Found
from tfrec.errors import DataError, SettingsError
from tfrec.folders import whole_folder
from tfrec.schema import (
    CATALOGUE_FILE,
    FIRST_ROW,
    PADDING_ROW,
    REJECTED_FILE,
    VOCABULARY_FOLDER,
    DatasetSchema,
)


def prepare(
    source: str,
    paths: Sequence[Path],
    out: Path,
    options: PrepareOptions | None = None,
    *,
    overwrite: bool = False,
    console: Console | None = None,
) -> DatasetSchema:
    """Prepares a log, and writes a dataset folder (see `tfrec.schema`).

    Args:
        source: `log` for any log whose columns the options name, or a known one (`SOURCES`).
        paths: files or folders; a source that ships in a package needs none.
        out: the folder to write.
        options: None: the source's defaults.
        overwrite: replace `out` where it is there.
        console: for progress and the table of what was done; None: stderr.

    Raises:
        SettingsError: there is no such source.
        DataError: the log cannot be read or has nothing to learn from; `out` cannot be written.
    """
    console = console or Console(stderr=True)
    if source not in SOURCES:
        raise SettingsError(f"there is no source {source!r}; known are {', '.join(SOURCES)}")
    if Path(out).exists() and not overwrite:
        raise DataError(f"{out} exists already. Name another folder, or say --overwrite.")
    known = SOURCES[source]
    options = options or known.defaults
    report = Report()
    with steps_of(console, 4) as step:
        step("reading")
        found = known.read(paths, options)
        report.add(f"rows read, times in {found.time_unit}", 0, found.rows)
        report.add("unreadable rows, set aside", len(found.rejected), len(found.log))
        step("cleaning")
        log, session, has_clock = _order(found, options, report)
        step("splitting")
        _require_events(log)
        dataset = _Dataset(source, log, session, found, options, has_clock=has_clock)
        step("writing")
        with whole_folder(Path(out), overwrite=overwrite) as folder:
            schema = dataset.write(folder)
    report.show(schema, console)
    return schema


def _order(found: Found, options: PrepareOptions, report: Report) -> tuple[Log, np.ndarray, bool]:
    """Cleans and sorts the events; returns them, their sessions, and whether times are clock times."""
    log = found.log
    if log.role is not None:  # an events file of a judge is clean, sorted and cut already
        return log, sessions.number_sessions(log, options.session_gap_s), _clock(log, options)
    has_clock = _clock(log, options)
    log = clean(log, options, report, has_clock=has_clock)
    log = sessions.sort_events(log, options)
    session = sessions.number_sessions(log, options.session_gap_s)
    for name, keep, wanted in (
        ("an item again in a session", sessions.first_in_session, options.once_per_session),
        ("immediate repeats", sessions.not_repeated, options.drop_repeats),
    ):
        if wanted:
            kept = keep(log, session)
            report.add(name, int((~kept).sum()), int(kept.sum()))
            log, session = log.take(kept), session[kept]
    if not options.ordered_sessions and log.session is None:
        log = sessions.shuffle_inside(log, session, options.seed)
    return log, session, has_clock


def _clock(log: Log, options: PrepareOptions) -> bool:
    return has_clock_times(log) if options.has_clock is None else options.has_clock


def _require_events(log: Log) -> None:
    if not len(log):
        raise DataError("no event is left after cleaning. Lower the minimum counts, or look at the log.")


class _Dataset:
    """The parts of a dataset, worked out before anything is written."""

    def __init__(
        self,
        source: str,
        log: Log,
        session: np.ndarray,
        found: Found,
        options: PrepareOptions,
        *,
        has_clock: bool,
    ) -> None:
        self.source, self.log, self.found, self.options = source, log, found, options
        self.has_clock = has_clock
        first = np.append(True, log.user.codes[1:] != log.user.codes[:-1])
        self.starts = np.flatnonzero(first)
        self.offsets = np.append(self.starts, len(log)).astype(np.int64)
        self.session = session
        self.role = (
            log.role
            if log.role is not None
            else splits.roles(options.split, log.user.codes, session, log.time, options.split_days)
        )
        train = self.role == splits.TRAIN
        if not train.any():
            raise DataError(
                f"the split {options.split!r} leaves no train event: the log is too short for it. "
                "Choose another --split, or fewer --split-days."
            )
        self.train = train
        self.catalogue: Catalogue = build_catalogue(log.item, train, found.items)

    def write(self, folder: Path) -> DatasetSchema:
        """Writes all files of the dataset into a folder."""
        vocabulary = folder / VOCABULARY_FOLDER
        vocabulary.mkdir()
        columns = self._columns(vocabulary)
        sequences = SequenceTable(
            self.log.user.values[self.log.user.codes[self.starts]], self.offsets, columns
        )
        shards = write_sequences(sequences, folder, self.options.shards)
        self.catalogue.frame.to_parquet(folder / CATALOGUE_FILE, index=False)
        _save_vocabulary(vocabulary / "item.parquet", pd.Index(self.catalogue.frame["item_id"]))
        for name, values in self.catalogue.vocabularies.items():
            _save_vocabulary(vocabulary / f"feature.{name}.parquet", values)
        self.found.rejected.to_parquet(folder / REJECTED_FILE, index=False)
        schema = self._schema(shards)
        schema.save(folder)
        return schema

    def _columns(self, vocabulary: Path) -> dict[str, np.ndarray]:
        log = self.log
        in_user = self.session - np.repeat(self.session[self.starts], np.diff(self.offsets))
        columns = {
            "event_id": np.arange(len(log), dtype=np.int64) if log.event_id is None else log.event_id,
            "item": self.catalogue.row_of_code[log.item.codes],
            "event_type": _rows(log.event),
            "session": in_user.astype(np.int32),
            "time": log.time,
            "role": self.role,
        }
        _save_vocabulary(vocabulary / "event_type.parquet", log.event.values)
        for name, column in log.context.items():
            if isinstance(column, Column):
                _save_vocabulary(vocabulary / f"context.{name}.parquet", column.values)
            columns[f"context.{name}"] = _rows(column) if isinstance(column, Column) else column
        return columns

    def _schema(self, shards: int) -> DatasetSchema:
        log, options = self.log, self.options
        by_id = log.session is not None
        return DatasetSchema(
            written_by={
                "tfrec": tfrec.__version__,
                "python": platform.python_version(),
                "pandas": pd.__version__,
                "pyarrow": pa.__version__,
            },
            source=self.source,
            split="judge" if log.role is not None else options.split,
            user_id_type=_type(log.user.values),
            item_id_type=_type(log.item.values),
            event_types=tuple(str(v) for v in log.event.values),
            has_clock=self.has_clock,
            ordered_sessions=options.ordered_sessions,
            session_from="id" if by_id else "gap",
            session_gap_s=options.session_gap_s,
            session_id_type=_type(log.session.values) if log.session is not None else "int64",
            repeats=options.repeats or found_repeats(log, self.session, self.train),
            context=context_facts(log, self.train),
            item_features=self.catalogue.features,
            item_name_columns=self.found.items.names if self.found.items else (),
            first_time=int(log.time.min()),
            last_time=int(log.time.max()),
            counts=count(
                self.role, self.session, len(self.starts), len(self.catalogue.frame), len(self.found.rejected)
            ),
            shards=shards,
        )


def _rows(column: Column) -> np.ndarray:
    return np.where(column.codes < 0, PADDING_ROW, column.codes + FIRST_ROW).astype(np.int32)


def _type(values: pd.Index) -> str:
    return "int64" if values.dtype.kind in "iu" else "string"


def _save_vocabulary(path: Path, values: pd.Index) -> None:
    pd.DataFrame({"value": values}).to_parquet(path, index=False)
