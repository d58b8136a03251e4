"""The files of a dataset folder."""

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

import tfrec
from data_prep.catalogue import Catalogue
from data_prep.facts import context_facts, count, found_repeats
from data_prep.impression_table import ImpressionTable
from data_prep.impression_writing import write_impressions
from data_prep.log import Column, Log
from data_prep.options import PrepareOptions
from data_prep.sequences import SequenceTable, write_sequences
from data_prep.splits import TRAIN
from data_prep.vocabularies import TrainValues, train_values
from tfrec.schema import (
    CATALOGUE_FILE,
    REJECTED_FILE,
    VOCABULARY_FOLDER,
    DatasetSchema,
    ImpressionFacts,
)


@dataclass
class DatasetParts:
    """What a dataset is made of, worked out before anything is written.

    Attributes:
        source: its name.
        log: E events, sorted.
        session: [E] int64 numbers over all users, rising.
        role: [E] int8.
        catalogue: of train events.
        impressions: None where there are none.
        rejected: rows set aside.
        options: that led here.
        has_clock: whether times are unix seconds.
    """

    source: str
    log: Log
    session: np.ndarray
    role: np.ndarray
    catalogue: Catalogue
    impressions: ImpressionTable | None
    rejected: pd.DataFrame
    options: PrepareOptions
    has_clock: bool

    def write(self, folder: Path) -> DatasetSchema:
        """Writes all files of the dataset into a folder."""
        vocabulary = folder / VOCABULARY_FOLDER
        vocabulary.mkdir()
        log, train = self.log, self.role == TRAIN
        starts = np.flatnonzero(np.append(True, log.user.codes[1:] != log.user.codes[:-1]))
        events = train_values(log.event, train)
        contexts = {
            name: train_values(column, train) if isinstance(column, Column) else column
            for name, column in log.context.items()
        }
        sequences = SequenceTable(
            user_id=log.user.values[log.user.codes[starts]],
            offsets=np.append(starts, len(log)).astype(np.int64),
            columns=self._columns(starts, events, contexts),
        )
        shards = write_sequences(sequences, folder, self.options.shards)
        self.catalogue.frame.to_parquet(folder / CATALOGUE_FILE, index=False)
        self.rejected.to_parquet(folder / REJECTED_FILE, index=False)
        vocabularies = {"item": pd.Index(self.catalogue.frame["item_id"]), "event_type": events.values}
        vocabularies |= {f"feature.{name}": values for name, values in self.catalogue.vocabularies.items()}
        vocabularies |= {
            f"context.{name}": found.values
            for name, found in contexts.items()
            if isinstance(found, TrainValues)
        }
        shown = None
        if self.impressions is not None:
            items = vocabularies["item"]
            shown, categories = write_impressions(self.impressions, items, log.item.values, folder)
            vocabularies |= {f"impression.{name}": values for name, values in categories.items()}
        for name, values in vocabularies.items():
            pd.DataFrame({"value": values}).to_parquet(vocabulary / f"{name}.parquet", index=False)
        schema = self._schema(len(starts), shards, events, contexts, shown)
        schema.save(folder)
        return schema

    def _columns(
        self, starts: np.ndarray, events: TrainValues, contexts: dict[str, TrainValues | np.ndarray]
    ) -> dict[str, np.ndarray]:
        log = self.log
        first_session = np.repeat(self.session[starts], np.diff(np.append(starts, len(log))))
        return {
            "event_id": np.arange(len(log), dtype=np.int64) if log.event_id is None else log.event_id,
            "item": self.catalogue.rows,
            "event_type": events.rows,
            "session": (self.session - first_session).astype(np.int32),
            "time": log.time,
            "role": self.role,
            **{
                f"context.{name}": found.rows if isinstance(found, TrainValues) else found
                for name, found in contexts.items()
            },
        }

    def _schema(
        self,
        users: int,
        shards: int,
        events: TrainValues,
        contexts: dict[str, TrainValues | np.ndarray],
        shown: ImpressionFacts | None,
    ) -> DatasetSchema:
        log, options, train = self.log, self.options, self.role == TRAIN
        return DatasetSchema.model_validate(
            {
                "written_by": {
                    "tfrec": tfrec.__version__,
                    "python": platform.python_version(),
                    "pandas": pd.__version__,
                    "pyarrow": pa.__version__,
                },
                "source": self.source,
                "split": "judge" if log.role is not None else options.split,
                "user_id_type": _type(log.user.values),
                "item_id_type": _type(log.item.values),
                "event_types": tuple(str(v) for v in events.values),
                "has_clock": self.has_clock,
                "ordered_sessions": options.ordered_sessions,
                "session_from": "gap" if log.session is None else "id",
                "session_gap_s": options.session_gap_s,
                "session_id_type": "int64" if log.session is None else _type(log.session.values),
                "repeats": options.repeats or found_repeats(log, self.session, train),
                "context": context_facts(contexts, train),
                "item_features": self.catalogue.features,
                "impressions": shown,
                "item_name_columns": self.catalogue.names,
                "first_time": int(log.time.min()),
                "last_time": int(log.time.max()),
                "counts": count(
                    self.role, self.session, users, len(self.catalogue.frame), len(self.rejected)
                ),
                "shards": shards,
            }
        )


def _type(values: pd.Index) -> str:
    return "int64" if values.dtype.kind in "iu" else "string"
