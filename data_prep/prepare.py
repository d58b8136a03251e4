"""A log -> dataset/: read, clean, cut into sessions, split, write; whole or not at all."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
from rich.console import Console

from data_prep.dataset import ReadLog, build
from data_prep.engines import DaskOptions, Engine, chosen_engine
from data_prep.files import spoken
from data_prep.impression_files import impressions_of
from data_prep.items import forced, own_items
from data_prep.options import PrepareOptions
from data_prep.parts import OnePart, Work
from data_prep.progress import steps_of
from data_prep.recipe import Recipe
from data_prep.report import Report
from data_prep.sources import Source, source_named
from tfrec.errors import DataError
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
    engine: Engine = "auto",
    dask: DaskOptions | None = None,
) -> DatasetSchema:
    """Prepares a log, and writes a dataset folder (see `tfrec.schema`).

    Args:
        source: `log` for any log whose columns the options name, or a known one (`sources.SOURCES`).
        paths: files or folders; a source that ships in a package needs none.
        out: the folder to write.
        options: None: the source's defaults.
        overwrite: replace `out` where it is there.
        console: for progress and the table of what was done; None: stderr.
        engine: `pandas` holds the log in memory, `dask` works on parts of it, with the same result; `auto`
            takes Dask for a log that would take more than half of the free memory.
        dask: where and how Dask works; None: on the cores of this machine.

    Raises:
        SettingsError: there is no such source, or the split does not fit the log.
        DataError: the log cannot be read or has nothing to learn from; `out` cannot be written.
        MissingExtraError: Dask is to be used, and is not installed.
    """
    console = console or Console(stderr=True)
    known, out = source_named(source), Path(out)
    _require_place(out, overwrite=overwrite)
    options = options or known.defaults
    dask = dask or DaskOptions()
    items = own_items(options)
    with spoken():
        on_dask = chosen_engine(engine, known, paths, options, console) == "dask"
    report = Report()
    with contextlib.ExitStack() as stack:
        step = stack.enter_context(steps_of(console, STEPS))
        step("reading")
        with spoken():
            if on_dask:
                from data_prep.on_dask import reading

                read = stack.enter_context(
                    reading(source, known, paths, options, dask, report, out, step.within)
                )
            else:
                read = _read(source, known, paths, options, report)
        read = replace(read, items=forced(items or read.items, options))
        recipe = Recipe.of(source, paths, options, out)
        schema = build(read, recipe, out, step, overwrite=overwrite)
    report.show(schema, console)
    return schema


def _read(
    source: str, known: Source, paths: Sequence[Path], options: PrepareOptions, report: Report
) -> ReadLog:
    """Reads a log into memory. It is held by nobody else than `Work`: memory is what limits its size."""
    found = known.read(paths, options)
    report.add(f"rows read (times: {found.time_unit})", 0, found.rows)
    report.add("unreadable rows, set aside", len(found.rejected), len(found.log))
    impressions, unreadable = impressions_of(options)
    rejected = found.rejected
    if len(unreadable):
        rejected = pd.concat([rejected, unreadable], ignore_index=True)
    pa.default_memory_pool().release_unused()
    return ReadLog(
        source, Work(OnePart(found.log), report), rejected, found.items, impressions,
        own_roles=found.log.role is not None,
    )  # fmt: skip


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
