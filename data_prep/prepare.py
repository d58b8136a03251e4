"""A log -> dataset/: read, clean, cut into sessions, split, write; whole or not at all."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console

from data_prep import sessions, splits
from data_prep.catalogue import build_catalogue
from data_prep.cleaning import clean
from data_prep.facts import has_clock_times
from data_prep.impression_files import impressions_of
from data_prep.impression_table import with_log
from data_prep.items import ItemTable, read_items
from data_prep.log import Log
from data_prep.options import PrepareOptions
from data_prep.progress import steps_of
from data_prep.report import Report
from data_prep.sources import Found, Source, source_named
from data_prep.writing import DatasetParts
from tfrec.errors import DataError, SettingsError
from tfrec.folders import whole_folder
from tfrec.schema import DatasetSchema

STEPS = {"reading": 60, "cleaning": 15, "splitting": 5, "writing": 20}
"""The steps, and about how many hundredths of the time each takes."""


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
        source: `log` for any log whose columns the options name, or a known one (`sources.SOURCES`).
        paths: files or folders; a source that ships in a package needs none.
        out: the folder to write.
        options: None: the source's defaults.
        overwrite: replace `out` where it is there.
        console: for progress and the table of what was done; None: stderr.

    Raises:
        SettingsError: there is no such source, or the split does not fit the log.
        DataError: the log cannot be read or has nothing to learn from; `out` cannot be written.
    """
    console = console or Console(stderr=True)
    known = source_named(source)
    _require_place(Path(out), overwrite=overwrite)
    options = options or known.defaults
    own_items = _own_items(options)
    report = Report()
    # A log goes from hand to hand and is held by nobody else: memory is what limits its size.
    with steps_of(console, STEPS) as step:
        step("reading")
        found = _read(known, paths, options)
        report.add(f"rows read (times: {found.time_unit})", 0, found.rows)
        report.add("unreadable rows, set aside", len(found.rejected), len(found.log))
        log, rejected = found.log, found.rejected
        items = _forced(own_items or found.items, options)
        impressions, unreadable = impressions_of(options)
        rejected = pd.concat([rejected, unreadable], ignore_index=True) if len(unreadable) else rejected
        del found
        pa.default_memory_pool().release_unused()
        step("cleaning")
        has_clock = has_clock_times(log) if options.has_clock is None else options.has_clock
        if log.role is None:
            log = clean(log, options, report, has_clock=has_clock)
            _require_events(log)
            log = sessions.sort_events(log, options)
            log = log if has_clock else sessions.with_positions(log)
        session = sessions.number_sessions(log, options.session_gap_s)
        if log.role is None:
            log, session = _thinned(log, session, options, report)
            log = log if has_clock else sessions.with_positions(log)
        step("splitting")
        role = _roles(log, session, options, has_clock=has_clock)
        shown = with_log(impressions, log, session, role, options, has_clock=has_clock)
        if has_clock and not options.ordered_sessions:
            log = sessions.with_session_times(log, session)
        catalogue = build_catalogue(log.item, role == splits.TRAIN, items)
        pa.default_memory_pool().release_unused()
        step("writing")
        parts = DatasetParts(source, log, session, role, catalogue, shown, rejected, options, has_clock)
        with whole_folder(Path(out), overwrite=overwrite) as folder:
            schema = parts.write(folder)
    report.show(schema, console)
    return schema


def _require_place(out: Path, *, overwrite: bool) -> None:
    """Refuses before the work what would be refused after it."""
    try:
        there = out.exists()
        parent = next(folder for folder in out.absolute().parents if folder.exists())
    except OSError as error:
        raise DataError(f"cannot write {out}: {error.strerror}. Check its permissions.") from error
    if there and not overwrite:
        raise DataError(f"{out} exists already. Name another folder, or say --overwrite.")
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise DataError(f"cannot write {out}: {parent} is no folder that may be written to")


def _read(known: Source, paths: Sequence[Path], options: PrepareOptions) -> Found:
    """What a source finds; what the system refuses (a folder without permission, a broken disk) in words."""
    try:
        return known.read(paths, options)
    except OSError as error:
        raise DataError(
            f"{error.filename or 'the log'} cannot be read: {error.strerror}. Check its permissions."
        ) from error


def _own_items(options: PrepareOptions) -> ItemTable | None:
    """The file of items that the options name."""
    if options.items_file is None:
        return None
    return read_items(options.items_file, options.items_id or options.item)


def _forced(items: ItemTable | None, options: PrepareOptions) -> ItemTable | None:
    """Items with the kinds of features that the options force."""
    if items is None and options.features:
        raise SettingsError("--feature names columns of items, but there are none: name a file with --items")
    return items.forced(options.features) if items is not None else None


def _require_events(log: Log) -> None:
    if not len(log):
        raise DataError("no event is left after cleaning. Lower the minimum counts, or look at the log.")


def _thinned(
    log: Log, session: np.ndarray, options: PrepareOptions, report: Report
) -> tuple[Log, np.ndarray]:
    """Drops what repeats inside sessions, as far as wanted, and draws the order of unordered ones."""
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
    return log, session


def _roles(log: Log, session: np.ndarray, options: PrepareOptions, *, has_clock: bool) -> np.ndarray:
    """The role of each event; some must be train."""
    if log.role is not None:
        role = log.role
    elif options.split == "global_time" and not has_clock:
        raise SettingsError(
            "the split 'global_time' cuts at a moment, but the log has positions for times. Choose another "
            "--split, or say --clock if they are unix seconds."
        )
    else:
        role = splits.roles(options.split, log.user.codes, session, log.time, options.split_days)
    if not (role == splits.TRAIN).any():
        raise DataError(
            f"the split {options.split!r} leaves no train event: the log is too short for it. "
            "Choose another --split, or fewer --split-days."
        )
    return role
