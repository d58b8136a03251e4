"""Lists of candidates as the ranking network takes them: M lists of C places."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrec.asides import Lines
from tfrec.config import Settings
from tfrec.config_ranking import RankingSettings, TaskSettings
from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.impressions import Impressions
from tfrec.list_cuts import cut
from tfrec.ranking_facts import chosen_statistics, require_ranking_facts, value_facts
from tfrec.schema import PADDING_ROW
from tfrec.sequences import Sequences

Lists = dict[str, np.ndarray]
LEAST = 1e-6
"""No share of labels counts as nearer to 0 or 1."""


@dataclass(frozen=True)
class RankingLists:
    """Candidates, their labels and what was known of them, list after list.

    Attributes:
        impressions: they come from.
        new: [N] bool, candidates without an event before their moment. A model must not know their ids: the
            vocabulary has what ever gets an event, so that they would tell what is shown in vain.
        statistics: [N, S] float32 raw, NaN where there was nothing.
        labels: [N] float32 by task, 0 or 1; of regression standardised numbers, NaN where there is none.
        strength: [N] float32 by task, what the candidates count beside their weights.
        came: [N] bool, candidates with a label or number of some task.
    """

    impressions: Impressions
    new: np.ndarray
    statistics: np.ndarray
    labels: Mapping[str, np.ndarray]
    strength: Mapping[str, np.ndarray]
    came: np.ndarray

    @classmethod
    def of(cls, impressions: Impressions, dataset: Dataset, ranking: RankingSettings) -> "RankingLists":
        """Lays out what the settings ask for.

        Args:
            impressions: of the dataset.
            dataset: says when an item was first seen.
            ranking: tasks and statistics.
        """
        first = first_times(dataset)
        names = [s.name for s in chosen_statistics(ranking, impressions.facts)]
        nothing = np.zeros((len(impressions.item), 0), np.float32)
        columns = [impressions.statistics[name] for name in names]
        labels = {name: _labels(impressions, task) for name, task in ranking.tasks.items()}
        came = [
            np.isfinite(labels[name]) if task.kind == "regression" else labels[name] > 0
            for name, task in ranking.tasks.items()
        ]
        return cls(
            impressions=impressions,
            new=first[impressions.item] >= impressions.time[impressions.of_candidate],
            statistics=np.stack(columns, axis=1) if columns else nothing,
            labels=labels,
            strength={
                name: _strength(impressions, task) for name, task in ranking.tasks.items() if task.strength
            },
            came=np.any(came, axis=0) if came else np.zeros(len(impressions.item), bool),
        )

    def log_odds(self, ranking: RankingSettings) -> np.ndarray:
        """Returns log(p / (1 - p)), p the share with a task's label of those with its parent's: [T] float32.

        With rare labels a network that began at one half would first unlearn that.
        """
        found = []
        for name, task in ranking.tasks.items():
            if task.kind == "regression":
                found.append(0.0)  # its labels are standardised
                continue
            among = self.impressions.weight.astype(np.float64)
            among = among if task.given is None else among * self.labels[task.given]
            share = (among * self.labels[name]).sum() / max(among.sum(), LEAST)
            share = np.clip(share, LEAST, 1 - LEAST)
            found.append(np.log(share / (1 - share)))
        return np.array(found, np.float32)

    def lines(self, sequences: Sequences, gap_s: int, at: np.ndarray | None = None) -> Lines:
        """Returns impressions, all or those at some places, in line with events of the same users."""
        at = np.arange(len(self.impressions)) if at is None else at
        shown = self.impressions
        session = None if shown.session is None else shown.session[at]
        return Lines.of(sequences, shown.user[at], shown.time[at], gap_s, session)

    def dense(self, at: np.ndarray, width: int, random: np.random.Generator | None = None) -> Lists:
        """Returns lists as padded tensors.

        Args:
            at: [M] impressions; -1: an empty list.
            width: C. Of longer lists some are kept, drawn by lot; those with a label before the others, as
                long as these have half of the room.
            random: for the lots; None: no list is longer.

        Returns:
            `candidate` [M, C] int32 (PADDING_ROW: no candidate), `hidden` [M, C] bool (it is taken for an
            unknown one), `statistics` [M, C, S] float32, `label.TASK` and `strength.TASK` [M, C] float32,
            `weight` [M, C] float32 (how many candidates of its list each stands for), `length` [M] float32
            (of the whole list), and `context.NAME` [M].
        """
        offsets = np.append(self.impressions.offsets, self.impressions.offsets[-1])
        sizes = np.where(at >= 0, offsets[at + 1] - offsets[at], 0)
        row = np.repeat(np.arange(len(at)), sizes)
        place = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        source = offsets[at][row] + place
        stands_for = self.impressions.weight[source]
        if random is not None:
            came = self.came[source]
            lot = np.lexsort((random.random(len(source)), ~came, row))
            kept, place, others = cut(came[lot], row, place, sizes, width)
            row, source, place = row[kept], source[lot][kept], place[kept]
            stands_for = stands_for[lot][kept] * others[kept]

        def laid(values: np.ndarray, nothing: float) -> np.ndarray:
            """[M, C] of values that lie as `source` does."""
            found = np.full((len(at), width, *values.shape[1:]), nothing, values.dtype)
            found[row, place] = values
            return found

        found = {
            "candidate": laid(self.impressions.item[source].astype(np.int32), PADDING_ROW),
            "hidden": laid(self.new[source], False),
            "statistics": laid(self.statistics[source], np.nan),
            "weight": laid(stands_for.astype(np.float32), 0),
            "length": sizes.astype(np.float32),
        }
        found |= {f"label.{task}": laid(values[source], 0) for task, values in self.labels.items()}
        found |= {f"strength.{task}": laid(values[source], 1) for task, values in self.strength.items()}
        for name, values in self.impressions.context.items():
            nothing = np.nan if values.dtype.kind == "f" else PADDING_ROW
            found[f"context.{name}"] = np.append(values, values.dtype.type(nothing))[at]
        return found


def first_times(dataset: Dataset) -> np.ndarray:
    """Returns unix seconds of each item's first event: [items] int64; items without: the end of time."""
    first = np.full(dataset.items.size, np.iinfo(np.int64).max)
    np.minimum.at(first, dataset.sequences.item, dataset.sequences.time)
    return first


def _labels(impressions: Impressions, task: TaskSettings) -> np.ndarray:
    if task.kind == "binary":
        return impressions.labels[task.label].astype(np.float32)
    facts = value_facts(impressions.facts, task.label)
    return (impressions.values[task.label] - np.float32(facts.mean)) / np.float32(facts.std)


def _strength(impressions: Impressions, task: TaskSettings) -> np.ndarray:
    """[N] float32: of those with the label a value as a share of its mean, 1 where there is none."""
    assert task.strength is not None
    mean = value_facts(impressions.facts, task.strength).mean
    share = impressions.values[task.strength] / np.float32(mean if mean > 0 else 1)
    counts = (impressions.labels[task.label] > 0) & np.isfinite(share)
    return np.where(counts, np.maximum(share, 0), 1).astype(np.float32)


def training_impressions(folder: Path, dataset: Dataset, settings: Settings) -> Impressions | None:
    """Returns the impressions of a dataset, where tasks of ranking learn from them.

    Raises:
        DataError: they are unreadable, or no train impression has the label of a task.
        SettingsError: the dataset has not what the tasks name.
    """
    require_ranking_facts(settings.ranking, dataset.schema.impressions)
    if not settings.ranking.tasks:
        return None
    impressions = Impressions.load(folder, dataset)
    train = impressions.is_role("train")[impressions.of_candidate]
    for name, task in settings.ranking.tasks.items():
        what, came = "label", impressions.labels.get(task.label)
        if task.kind == "regression":
            what, came = "value", np.isfinite(impressions.values[task.label])
        if came is None or not came[train].any():
            raise DataError(
                f"no train impression of {folder} has the {what} {task.label!r}: the task {name!r} has "
                "nothing to learn from"
            )
    return impressions
