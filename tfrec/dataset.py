"""A dataset folder in memory: flat arrays of events, users one after another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.errors import DataError
from tfrec.schema import (
    CATALOGUE_FILE,
    SEQUENCES_FOLDER,
    VOCABULARY_FOLDER,
    DatasetSchema,
)
from tfrec.sequences import Sequences
from tfrec.vocabulary import Vocabulary

EVENT_COLUMNS = ("event_id", "item", "event_type", "session", "time", "role")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a log beside its events; a dataset and a model carry it.

    Attributes:
        schema: names, types, counts.
        catalogue: one line an item of the vocabulary, in row order.
        items, event_types: vocabularies.
        context: vocabularies of the categorical context columns.
        features: vocabularies of the categorical and multi-valued item features.
        impression_context: vocabularies of the categorical context columns of impressions.
    """

    schema: DatasetSchema
    catalogue: pd.DataFrame
    items: Vocabulary
    event_types: Vocabulary
    context: Mapping[str, Vocabulary]
    features: Mapping[str, Vocabulary]
    impression_context: Mapping[str, Vocabulary] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> "Facts":
        """Reads the facts in a dataset or model folder.

        Raises:
            DataError: a file is missing or unreadable.
        """
        folder = Path(folder)
        schema = DatasetSchema.load(folder)
        vocabulary = folder / VOCABULARY_FOLDER
        try:
            catalogue = pd.read_parquet(folder / CATALOGUE_FILE)
        except (OSError, ValueError) as error:
            raise DataError(f"{folder / CATALOGUE_FILE} cannot be read: {error}") from error
        return Facts(
            schema=schema,
            catalogue=catalogue,
            items=Vocabulary.load(vocabulary / "item.parquet"),
            event_types=Vocabulary.load(vocabulary / "event_type.parquet"),
            context={
                c.name: Vocabulary.load(vocabulary / f"context.{c.name}.parquet")
                for c in schema.context
                if c.kind == "categorical"
            },
            features={
                f.name: Vocabulary.load(vocabulary / f"feature.{f.name}.parquet")
                for f in schema.item_features
                if f.kind != "numeric"
            },
            impression_context={
                c.name: Vocabulary.load(vocabulary / f"impression.{c.name}.parquet")
                for c in (schema.impressions.context if schema.impressions else ())
                if c.kind == "categorical"
            },
        )

    def save(self, folder: Path) -> None:
        """Writes the facts into a folder."""
        self.schema.save(folder)
        self.catalogue.to_parquet(Path(folder) / CATALOGUE_FILE, index=False)
        vocabulary = Path(folder) / VOCABULARY_FOLDER
        self.items.save(vocabulary / "item.parquet")
        self.event_types.save(vocabulary / "event_type.parquet")
        for name, values in self.context.items():
            values.save(vocabulary / f"context.{name}.parquet")
        for name, values in self.features.items():
            values.save(vocabulary / f"feature.{name}.parquet")
        for name, values in self.impression_context.items():
            values.save(vocabulary / f"impression.{name}.parquet")

    def with_sequences(self, sequences: Sequences) -> "Dataset":
        """Returns a dataset of these facts and the given events."""
        return Dataset(**{f.name: getattr(self, f.name) for f in fields(Facts)}, sequences=sequences)


@dataclass(frozen=True, kw_only=True)
class Dataset(Facts):
    """What `tfrec prepare` has written: facts and events.

    Attributes:
        sequences: the events.
    """

    sequences: Sequences

    @classmethod
    def load(cls, folder: Path) -> "Dataset":
        """Reads a dataset folder.

        Raises:
            DataError: a file is missing, or one contradicts another.
        """
        facts = Facts.load(folder)
        dataset = facts.with_sequences(
            read_sequences(sequence_files(Path(folder), facts.schema), facts.schema)
        )
        if len(dataset.sequences.item) and dataset.sequences.item.max() >= dataset.items.size:
            row = dataset.sequences.item.max()
            raise DataError(f"{folder}: an event has item row {row}, beyond the vocabulary")
        if len(dataset.catalogue) != len(dataset.items.values):
            raise DataError(
                f"{folder}: {CATALOGUE_FILE} has {len(dataset.catalogue)} lines, the item vocabulary "
                f"{len(dataset.items.values)}; they must be the same items in the same order"
            )
        return dataset

    def in_rows_of(self, other: Facts) -> "Dataset":
        """Returns these events in the rows of other vocabularies, with the other's catalogue.

        With it a model answers queries of another cut of its log: what it does not know becomes
        unknown.

        Raises:
            DataError: the two do not have the same context columns.
        """
        names = {c.name for c in other.schema.context}
        if set(self.sequences.context) != names:
            raise DataError(
                f"the datasets differ in their context columns: {sorted(self.sequences.context)} "
                f"and {sorted(names)}"
            )
        context = dict(self.sequences.context)
        for name, vocabulary in other.context.items():
            context[name] = vocabulary.remap(self.context[name])[context[name]]
        return other.with_sequences(
            replace(
                self.sequences,
                item=other.items.remap(self.items)[self.sequences.item],
                event_type=other.event_types.remap(self.event_types)[self.sequences.event_type],
                context=context,
            )
        )


def sequence_files(folder: Path, schema: DatasetSchema) -> list[Path]:
    """Returns the files of a dataset's sequences, in the order of users.

    Raises:
        DataError: there are not as many as the schema says.
    """
    paths = sorted((folder / SEQUENCES_FOLDER).glob("*.parquet"))
    if len(paths) != schema.shards:
        raise DataError(
            f"{folder}/{SEQUENCES_FOLDER} has {len(paths)} shards, its schema says {schema.shards}"
        )
    return paths


def read_sequences(paths: Sequence[Path], schema: DatasetSchema) -> Sequences:
    """Reads some of these files and lays their lists end to end.

    Raises:
        DataError: one is unreadable, or as `sequences_of`.
    """
    folder = paths[0].parent if paths else Path(SEQUENCES_FOLDER)
    try:
        table = pa.concat_tables([pq.read_table(path) for path in paths])
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{folder} cannot be read: {error}. Prepare the log again.") from error
    return sequences_of(table, schema, folder)


def sequences_of(table: pa.Table, schema: DatasetSchema, folder: Path) -> Sequences:
    """Returns the users of a table of `SEQUENCE_COLUMNS`.

    Args:
        table: a line a user.
        schema: of the dataset.
        folder: where the table comes from, for errors.

    Raises:
        DataError: a column is missing, or contradicts another.
    """
    try:
        columns = {name: _flat(table[name]) for name in EVENT_COLUMNS}
        context = {c.name: _flat(table[f"context.{c.name}"]) for c in schema.context}
    except (pa.ArrowInvalid, KeyError) as error:
        raise DataError(f"{folder} cannot be read: {error}. Prepare the log again.") from error
    lengths = _lengths(table["item"])
    for name in (*EVENT_COLUMNS, *(f"context.{column}" for column in context)):
        if not np.array_equal(_lengths(table[name]), lengths):
            raise DataError(
                f"{folder}: the lists of column {name!r} are not as long as those of "
                "'item'. Prepare the log again."
            )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sequences(
        user_id=table["user_id"].to_pandas().to_numpy(), offsets=offsets, context=context, **columns
    )


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    """The values of a list column, end to end."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False)


def _lengths(column: pa.ChunkedArray) -> np.ndarray:
    """How many events each user's list holds."""
    return column.combine_chunks().value_lengths().to_numpy(zero_copy_only=False)
