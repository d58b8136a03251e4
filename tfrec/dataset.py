"""A dataset folder in memory: flat arrays of events, users one after another."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pandas as pd

from tfrec.errors import DataError
from tfrec.schema import (
    CATALOGUE_FILE,
    VOCABULARY_FOLDER,
    DatasetSchema,
)
from tfrec.sequence_files import read_sequences, sequence_files
from tfrec.sequences import Sequences
from tfrec.vocabulary import Vocabulary


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
        sequences = read_sequences(sequence_files(Path(folder), facts.schema), facts.schema)
        return facts.with_sequences(sequences).checked(folder)

    def checked(self, folder: Path) -> "Dataset":
        """Returns itself.

        Raises:
            DataError: events, vocabulary and catalogue do not fit together.
        """
        if len(self.sequences.item) and self.sequences.item.max() >= self.items.size:
            row = self.sequences.item.max()
            raise DataError(f"{folder}: an event has item row {row}, beyond the vocabulary")
        if len(self.catalogue) != len(self.items.values):
            raise DataError(
                f"{folder}: {CATALOGUE_FILE} has {len(self.catalogue)} lines, the item vocabulary "
                f"{len(self.items.values)}; they must be the same items in the same order"
            )
        return self

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
