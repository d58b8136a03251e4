"""The files of a dataset folder."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

import tfrec
from data_prep.catalogue import Catalogue
from data_prep.facts import LogTally, context_facts, learned, rows_or_numbers
from data_prep.impression_table import ImpressionTable
from data_prep.impression_writing import write_impressions
from data_prep.moments import Moments
from data_prep.options import PrepareOptions
from data_prep.parts import Part, Work
from data_prep.sequences import SequenceTable
from data_prep.vocabularies import TrainValues, train_values
from tfrec.schema import (
    CATALOGUE_FILE,
    REJECTED_FILE,
    VOCABULARY_FOLDER,
    DatasetSchema,
    IdType,
    ImpressionFacts,
)


class Rejected(Protocol):
    """Rows set aside: `file`, `row_number`, `reason`, and the raw fields as strings."""

    def __len__(self) -> int: ...

    def to_parquet(self, path: Path, *, index: Literal[False]) -> object:
        """Writes them into a file."""


@dataclass(frozen=True)
class LogTypes:
    """Types of the ids of a log; that of sessions is None where the log has none."""

    user: IdType
    item: IdType
    session: IdType | None

    @classmethod
    def of(cls, part: Part) -> "LogTypes":
        """Returns those of any part."""
        log = part.log
        session = None if log.session is None else _type(log.session.values)
        return cls(_type(log.user.values), _type(log.item.values), session)


@dataclass
class DatasetParts:
    """What a dataset is made of, worked out before anything of it is written.

    Attributes:
        source: its name.
        work: the sorted and split events.
        tally: of all of them.
        types: of their ids.
        catalogue: of train events.
        impressions: with the raw ids of the codes of their items; None where there are none.
        rejected: rows set aside.
        options: that led here.
        has_clock: whether times are unix seconds.
        own_roles: whether roles are the source's own, and of no split.
    """

    source: str
    work: Work
    tally: LogTally
    types: LogTypes
    catalogue: Catalogue
    impressions: tuple[ImpressionTable, pd.Index] | None
    rejected: Rejected
    options: PrepareOptions
    has_clock: bool
    own_roles: bool

    def write(self, folder: Path) -> DatasetSchema:
        """Writes all files of the dataset into a folder."""
        items = self.catalogue.items
        events, contexts = train_values(self.tally.events), learned(self.tally.context)
        shards = self.work.write(_Sequences(items, events, contexts), folder, self.options.shards)
        self.catalogue.frame.to_parquet(folder / CATALOGUE_FILE, index=False)
        self.rejected.to_parquet(folder / REJECTED_FILE, index=False)
        vocabularies = {"item": items.values, "event_type": events.values}
        vocabularies |= {f"feature.{name}": values for name, values in self.catalogue.vocabularies.items()}
        vocabularies |= {
            f"context.{name}": found.values
            for name, found in contexts.items()
            if isinstance(found, TrainValues)
        }
        vocabulary = folder / VOCABULARY_FOLDER
        vocabulary.mkdir()
        shown = None
        if self.impressions is not None:
            table, codes = self.impressions
            shown, categories = write_impressions(table, items.values, codes, folder)
            vocabularies |= {f"impression.{name}": values for name, values in categories.items()}
        for name, values in vocabularies.items():
            pd.DataFrame({"value": values}).to_parquet(vocabulary / f"{name}.parquet", index=False)
        schema = self._schema(shards, events, contexts, shown)
        schema.save(folder)
        return schema

    def _schema(
        self,
        shards: int,
        events: TrainValues,
        contexts: dict[str, TrainValues | Moments],
        shown: ImpressionFacts | None,
    ) -> DatasetSchema:
        options, types = self.options, self.types
        return DatasetSchema.model_validate(
            {
                "written_by": {
                    "tfrec": tfrec.__version__,
                    "python": platform.python_version(),
                    "pandas": pd.__version__,
                    "pyarrow": pa.__version__,
                },
                "source": self.source,
                "split": "judge" if self.own_roles else options.split,
                "user_id_type": types.user,
                "item_id_type": types.item,
                "event_types": tuple(str(v) for v in events.values),
                "has_clock": self.has_clock,
                "ordered_sessions": options.ordered_sessions,
                "session_from": "gap" if types.session is None else "id",
                "session_gap_s": options.session_gap_s,
                "session_id_type": types.session or "int64",
                "repeats": options.repeats or self.tally.repeats,
                "context": context_facts(contexts),
                "item_features": self.catalogue.features,
                "impressions": shown,
                "item_name_columns": self.catalogue.names,
                "first_time": self.tally.first_time,
                "last_time": self.tally.last_time,
                "counts": self.tally.counts(len(self.catalogue.frame), len(self.rejected)),
                "shards": shards,
            }
        )


@dataclass(frozen=True)
class _Sequences:
    """The sequences of a part, in rows of the vocabularies of the whole log."""

    items: TrainValues
    events: TrainValues
    contexts: Mapping[str, TrainValues | Moments]

    def __call__(self, part: Part, before: int) -> SequenceTable:
        """Returns the sequences of a part, before which so many events of the log stand."""
        log, session = part.log, part.sessions
        starts = np.flatnonzero(np.append(True, log.user.codes[1:] != log.user.codes[:-1]))
        offsets = np.append(starts, len(log)).astype(np.int64)
        first_session = np.repeat(session[starts], np.diff(offsets))
        numbers = np.arange(before, before + len(log), dtype=np.int64)
        return SequenceTable(
            user_id=log.user.values[log.user.codes[starts]],
            offsets=offsets,
            columns={
                "event_id": numbers if log.event_id is None else log.event_id,
                "item": self.items.rows_of(log.item),
                "event_type": self.events.rows_of(log.event),
                "session": (session - first_session).astype(np.int32),
                "time": log.time,
                "role": part.roles,
                **{
                    f"context.{name}": rows_or_numbers(column, self.contexts[name])
                    for name, column in log.context.items()
                },
            },
        )


def _type(values: pd.Index) -> IdType:
    return "int64" if values.dtype.kind in "iu" else "string"
