"""A log that was read -> its dataset: clean, cut into sessions, split, write; in one part or in many."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa

from data_prep import cutting
from data_prep.catalogue import build_catalogue
from data_prep.cleaning import clean, find_clock
from data_prep.facts import LogTally
from data_prep.impression_table import ImpressionTable, with_log
from data_prep.impressions import Impressions
from data_prep.items import ItemTable
from data_prep.options import PrepareOptions
from data_prep.parts import Part, Work
from data_prep.recipe import Recipe
from data_prep.vocabularies import train_values
from data_prep.writing import DatasetParts, LogTypes, Rejected
from tfrec.folders import whole_folder
from tfrec.schema import DatasetSchema


@dataclass(frozen=True)
class ReadLog:
    """What a dataset is made of.

    Attributes:
        source: its name.
        work: on the events.
        rejected: rows set aside.
        items: what is known of items.
        impressions: of a file; None: there is none.
        own_roles: the events are sorted, and have roles of their own: they stay as they are.
    """

    source: str
    work: Work
    rejected: Rejected
    items: ItemTable | None
    impressions: Impressions | None = None
    own_roles: bool = False


def build(
    read: ReadLog, recipe: Recipe, out: Path, step: Callable[[str], None], *, overwrite: bool
) -> DatasetSchema:
    """Writes the dataset of a log, whole or not at all, and returns its schema.

    Args:
        read: the log.
        recipe: with the options of all steps; it becomes part of the dataset.
        out: the folder to write.
        step: is told which step begins: cleaning, splitting, writing.
        overwrite: replace `out` where it is there.

    Raises:
        SettingsError: the split or the impressions do not fit the log.
        DataError: nothing is left to learn from, or `out` cannot be written.
    """
    work, options = read.work, recipe.options
    step("cleaning")
    has_clock = find_clock(work, options) if read.own_roles else clean(work, options)
    cutting.cut(work, options, has_clock=has_clock, as_it_is=read.own_roles)
    step("splitting")
    if not read.own_roles:
        cutting.split(work, options, has_clock=has_clock)
    cutting.require_train_events(work, options)
    # Impressions see the log with the times that its events really have.
    shown = _shown(read.impressions, work, options, has_clock=has_clock)
    if has_clock and not options.ordered_sessions:
        cutting.with_session_times(work)
    tallies, types = work.look(_tally), work.look(LogTypes.of)
    tally = LogTally.together([part for part in tallies() if part is not None])
    catalogue = build_catalogue(train_values(tally.items), read.items)
    pa.default_memory_pool().release_unused()
    step("writing")
    dataset = DatasetParts(
        source=read.source,
        work=work,
        tally=tally,
        types=types()[0],
        catalogue=catalogue,
        impressions=shown,
        rejected=read.rejected,
        options=options,
        has_clock=has_clock,
        own_roles=read.own_roles,
    )
    with whole_folder(out, overwrite=overwrite) as folder:
        recipe.save(folder)
        return dataset.write(folder)


def _shown(
    impressions: Impressions | None, work: Work, options: PrepareOptions, *, has_clock: bool
) -> tuple[ImpressionTable, pd.Index] | None:
    """Impressions beside their log, and the raw ids of the codes of its items; None without any."""
    if impressions is None and options.sampled_impressions is None:
        return None
    beside = partial(_beside, impressions=impressions, options=options, has_clock=has_clock)
    (found,) = work.look(beside)()  # they see the whole log
    return found


def _beside(
    part: Part, impressions: Impressions | None, options: PrepareOptions, has_clock: bool
) -> tuple[ImpressionTable, pd.Index] | None:
    table = with_log(impressions, part.log, part.sessions, part.roles, options, has_clock=has_clock)
    return None if table is None else (table, part.log.item.values)


def _tally(part: Part) -> LogTally | None:
    return LogTally.of(part) if len(part) else None
