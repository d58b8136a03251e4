"""Impressions of a dataset folder in memory: flat arrays of candidates, impressions one after another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.dataset import Dataset, Facts
from tfrec.errors import DataError
from tfrec.schema import IMPRESSIONS_FILE, ROLES, ImpressionFacts


@dataclass(frozen=True)
class Impressions:
    """I impressions by time, N candidates in all; impression i's are `offsets[i]:offsets[i + 1]`.

    Attributes:
        facts: of the schema.
        id: [I] raw ids.
        user_id: [I] raw ids.
        user: [I] int64 places of the users in the dataset's sequences; -1 for users without events.
        time: [I] int64 unix seconds.
        role: [I] int8, places in `tfrec.schema.ROLES`.
        offsets: [I + 1] int64.
        item: [N] int32 rows of the item vocabulary.
        labels: [N] int8 by name.
        values: [N] float32 by name, NaN where nothing came.
        statistics: [N] float32 by name, NaN where there was nothing.
        context: [I] int32 rows or float32 raw numbers, by name.
        session: [I] int32 the session among those of the user; -1, and None: as the gap in time says.
        stands_for: [N] float32, how many items of the catalogue each stands for; None: for itself.
    """

    facts: ImpressionFacts
    id: np.ndarray
    user_id: np.ndarray
    user: np.ndarray
    time: np.ndarray
    role: np.ndarray
    offsets: np.ndarray
    item: np.ndarray
    labels: Mapping[str, np.ndarray]
    statistics: Mapping[str, np.ndarray]
    context: Mapping[str, np.ndarray]
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    session: np.ndarray | None = None
    stands_for: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.time)

    @property
    def of_candidate(self) -> np.ndarray:
        """[N] the place of each candidate's impression."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def weight(self) -> np.ndarray:
        """[N] float32, how many items each candidate stands for."""
        return np.ones(len(self.item), np.float32) if self.stands_for is None else self.stands_for

    def is_role(self, role: str) -> np.ndarray:
        """[I] bool: which impressions have the role."""
        return self.role == ROLES.index(role)

    def take(self, at: np.ndarray) -> "Impressions":
        """Returns the impressions at the given places, in that order."""
        sizes = np.diff(self.offsets)[at]
        offsets = np.append(0, np.cumsum(sizes)).astype(np.int64)
        candidates = np.arange(offsets[-1]) + np.repeat(self.offsets[at] - offsets[:-1], sizes)
        heads = {name: getattr(self, name)[at] for name in ("id", "user_id", "user", "time", "role")}
        return replace(
            self,
            **heads,
            offsets=offsets,
            item=self.item[candidates],
            labels={name: values[candidates] for name, values in self.labels.items()},
            statistics={name: values[candidates] for name, values in self.statistics.items()},
            context={name: values[at] for name, values in self.context.items()},
            values={name: values[candidates] for name, values in self.values.items()},
            session=None if self.session is None else self.session[at],
            stands_for=None if self.stands_for is None else self.stands_for[candidates],
        )

    def in_rows_of(self, own: Facts, other: Facts) -> "Impressions":
        """Returns them in the rows of other vocabularies than their dataset's own: those of a model.

        Args:
            own: of their dataset.
            other: of the model, which may know fewer labels, statistics and context columns.

        Raises:
            DataError: they have not all that the model knows.
        """
        facts = other.schema.impressions
        if facts is None:
            raise DataError("the model was trained on a dataset without impressions")
        for what in ("labels", "values", "statistics", "context"):
            have, need = (_named_kinds(getattr(f, what)) for f in (self.facts, facts))
            if missing := sorted(set(need) - set(have)):
                raise DataError(
                    f"the model was trained with {', '.join(missing)} among the {what} of impressions; this "
                    f"dataset has {', '.join(have) or 'none'}. Prepare it with the same options."
                )
        context = {column.name: self.context[column.name] for column in facts.context}
        for name, vocabulary in other.impression_context.items():
            context[name] = vocabulary.remap(own.impression_context[name])[context[name]]
        item = other.items.remap(own.items)[self.item]
        return replace(self, facts=facts, item=item, context=context)

    @classmethod
    def load(cls, folder: Path, dataset: Dataset) -> "Impressions":
        """Reads the impressions of a dataset folder.

        Args:
            folder: of the dataset.
            dataset: what was read from it.

        Raises:
            DataError: the dataset has none, or the file is missing, unreadable or not as the schema says.
        """
        facts = dataset.schema.impressions
        if facts is None:
            raise DataError(f"{folder} has no impressions. Prepare its log again, with --impressions FILE.")
        path = Path(folder) / IMPRESSIONS_FILE
        try:
            table = pq.read_table(path)
            lists = {name: table[name].combine_chunks() for name in _list_columns(facts)}
            heads = {n: table[n].to_numpy() for n in ("impression_id", "user_id", "time", "role")}
            context = {c.name: table[f"context.{c.name}"].to_numpy() for c in facts.context}
        except (pa.ArrowInvalid, OSError, KeyError) as error:
            raise DataError(f"{path} cannot be read: {error}. Prepare the log again.") from error
        lengths = {name: values.value_lengths().to_numpy() for name, values in lists.items()}
        for name, own in lengths.items():
            if not np.array_equal(own, lengths["item"]):
                raise DataError(f"{path}: the lists of {name!r} are not as long as those of 'item'")
        flat = {name: values.flatten().to_numpy() for name, values in lists.items()}
        return cls(
            facts=facts,
            id=heads["impression_id"],
            user_id=heads["user_id"],
            user=_places(heads["user_id"], dataset.sequences.user_id),
            time=heads["time"],
            role=heads["role"],
            offsets=np.append(0, np.cumsum(lengths["item"])).astype(np.int64),
            item=flat["item"],
            labels={name: flat[f"label.{name}"] for name in facts.labels},
            statistics={s.name: flat[f"statistic.{s.name}"] for s in facts.statistics},
            context=context,
            values={v.name: flat[f"value.{v.name}"] for v in facts.values},
            session=table["session"].to_numpy() if "session" in table.column_names else None,
            stands_for=flat.get("stands_for"),
        )


def _list_columns(facts: ImpressionFacts) -> list[str]:
    found = ["item", *(f"label.{name}" for name in facts.labels)]
    found += [f"value.{value.name}" for value in facts.values]
    found += [f"statistic.{statistic.name}" for statistic in facts.statistics]
    return [*found, "stands_for"] if facts.sampled else found


def _places(ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[I] int64 places of ids among known ones, -1 for others; as text where one of the two is text."""
    one, other = pd.Index(ids), pd.Index(known)
    if one.dtype != other.dtype:
        one, other = one.astype(str), other.astype(str)
    return other.get_indexer(one).astype(np.int64)


def _named_kinds(columns: Sequence[Any]) -> list[str]:
    """Names of labels, statistics and columns; of columns with their kinds."""
    return [
        column if isinstance(column, str) else f"{column.name} ({getattr(column, 'kind', 'statistic')})"
        for column in columns
    ]
