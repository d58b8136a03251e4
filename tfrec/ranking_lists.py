"""Lists of candidates as the ranking network takes them: M lists of C places."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrec.asides import Lines
from tfrec.config import Settings
from tfrec.config_ranking import RankingSettings
from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.impressions import Impressions
from tfrec.ranking_facts import chosen_statistics, require_ranking_facts
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
        labels: [N] float32 by task.
    """

    impressions: Impressions
    new: np.ndarray
    statistics: np.ndarray
    labels: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, impressions: Impressions, dataset: Dataset, ranking: RankingSettings) -> "RankingLists":
        """Lays out what the settings ask for.

        Args:
            impressions: of the dataset.
            dataset: says when an item was first seen.
            ranking: tasks and statistics.
        """
        first = np.full(dataset.items.size, np.iinfo(np.int64).max)
        np.minimum.at(first, dataset.sequences.item, dataset.sequences.time)
        names = [s.name for s in chosen_statistics(ranking, impressions.facts)]
        nothing = np.zeros((len(impressions.item), 0), np.float32)
        columns = [impressions.statistics[name] for name in names]
        return cls(
            impressions=impressions,
            new=first[impressions.item] >= impressions.time[impressions.of_candidate],
            statistics=np.stack(columns, axis=1) if columns else nothing,
            labels={
                name: impressions.labels[task.label].astype(np.float32)
                for name, task in ranking.tasks.items()
            },
        )

    def log_odds(self, ranking: RankingSettings) -> np.ndarray:
        """Returns log(p / (1 - p)), p the share with a task's label of those with its parent's: [T] float32.

        With rare labels a network that began at one half would first unlearn that.
        """
        found = []
        for name, task in ranking.tasks.items():
            among = self.impressions.weight.astype(np.float64)
            among = among if task.given is None else among * self.labels[task.given]
            share = (among * self.labels[name]).sum() / max(among.sum(), LEAST)
            share = np.clip(share, LEAST, 1 - LEAST)
            found.append(np.log(share / (1 - share)))
        return np.array(found, np.float32)

    def lines(self, sequences: Sequences, gap_s: int, at: np.ndarray | None = None) -> Lines:
        """Returns impressions, all or those at some places, in line with events of the same users."""
        at = np.arange(len(self.impressions)) if at is None else at
        return Lines.of(sequences, self.impressions.user[at], self.impressions.time[at], gap_s)

    def dense(self, at: np.ndarray, width: int, random: np.random.Generator | None = None) -> Lists:
        """Returns lists as padded tensors.

        Args:
            at: [M] impressions; -1: an empty list.
            width: C. Of longer lists some are kept, drawn by lot; those with a label before the others, as
                long as these have half of the room.
            random: for the lots; None: no list is longer.

        Returns:
            `candidate` [M, C] int32 (PADDING_ROW: no candidate), `hidden` [M, C] bool (it is taken for an
            unknown one), `statistics` [M, C, S] float32, `label.TASK` [M, C] float32, `weight` [M, C] float32
            (how many candidates of its list each stands for), `length` [M] float32 (of the whole list), and
            `context.NAME` [M].
        """
        offsets = np.append(self.impressions.offsets, self.impressions.offsets[-1])
        sizes = np.where(at >= 0, offsets[at + 1] - offsets[at], 0)
        row = np.repeat(np.arange(len(at)), sizes)
        place = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        source = offsets[at][row] + place
        if random is not None:
            any_label = np.max([values[source] for values in self.labels.values()], axis=0) > 0
            lot = np.lexsort((random.random(len(source)), ~any_label, row))
            source, any_label = source[lot], any_label[lot]
            kept, place, stands_for = _kept(any_label, row, place, sizes, width)
            row, source, place, stands_for = (x[kept] for x in (row, source, place, stands_for))
        else:
            stands_for = np.ones(len(source))
        candidate = np.full((len(at), width), PADDING_ROW, np.int32)
        candidate[row, place] = self.impressions.item[source]
        hidden = np.zeros((len(at), width), np.bool_)
        hidden[row, place] = self.new[source]
        statistics = np.full((len(at), width, self.statistics.shape[1]), np.nan, np.float32)
        statistics[row, place] = self.statistics[source]
        weight = np.zeros((len(at), width), np.float32)
        weight[row, place] = stands_for * self.impressions.weight[source]
        found = {"candidate": candidate, "hidden": hidden, "statistics": statistics, "weight": weight}
        found["length"] = sizes.astype(np.float32)
        for task, values in self.labels.items():
            label = np.zeros((len(at), width), np.float32)
            label[row, place] = values[source]
            found[f"label.{task}"] = label
        for name, values in self.impressions.context.items():
            nothing = np.nan if values.dtype.kind == "f" else PADDING_ROW
            found[f"context.{name}"] = np.append(values, values.dtype.type(nothing))[at]
        return found


def _kept(
    any_label: np.ndarray, row: np.ndarray, place: np.ndarray, sizes: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts lists, candidates with a label first in each; of these as many as there is room, or half of it.

    Args:
        any_label, row, place: [N] whether each has a label, its list, and its place there.
        sizes: [M] of the lists.
        width: the most that are kept.

    Returns:
        [N] which are kept, the places of these, and for how many of its list each stands.
    """
    labelled = np.bincount(row, any_label, minlength=len(sizes)).astype(np.int64)
    others = sizes - labelled
    first = np.minimum(labelled, np.maximum(width // 2, width - others))
    rest = np.minimum(others, width - first)
    of_others = place - labelled[row]
    kept = np.where(any_label, place < first[row], of_others < rest[row])
    stands_for = np.where(
        any_label, (labelled / np.maximum(first, 1))[row], (others / np.maximum(rest, 1))[row]
    )
    return kept, np.where(any_label, place, of_others + first[row]), stands_for


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
        if not impressions.labels[task.label][train].any():
            raise DataError(
                f"no train impression of {folder} has the label {task.label!r}: the task {name!r} has "
                "nothing to learn from"
            )
    return impressions
