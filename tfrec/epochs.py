"""Training examples of an epoch: all train events, cut, shuffled and packed anew each time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tfrec.asides import pack_entries
from tfrec.augmentation import begin_at_sessions, drop_events, mask_items, reorder_events
from tfrec.batches import Rows
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.distribution.summing import Alone
from tfrec.impressions import Impressions
from tfrec.negatives import draw_uniform
from tfrec.packing import cut_windows
from tfrec.ranking_lists import RankingLists
from tfrec.rules import fold_of_user
from tfrec.schema import FIRST_ROW, PADDING_ROW, UNKNOWN_ROW
from tfrec.sequences import Sequences

SECONDS_A_DAY = 86_400
ROOM = 1.25
"""Lists that a batch has room for, by the mean."""

Batch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


class Epochs:
    """The train events of a dataset, as batches that depend on the seed and the epoch alone.

    Args:
        dataset: its train events are used, no others.
        settings: of the run.
        impressions: of the dataset, for tasks of ranking; those in role train are used. None: no ranking.
        others: who have the other users' events, where the dataset is a part of the log: then each fills a
            part of every batch. None: it is all of it.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        impressions: Impressions | None = None,
        others: Alone | None = None,
    ) -> None:
        self.settings = settings
        self.others = others or Alone()
        self.items = dataset.items.size
        self.folds = settings.training.rule_folds
        self.ordered = dataset.schema.ordered_sessions
        self.gap_s = dataset.schema.session_gap_s
        self.sequences = dataset.sequences.keep(dataset.sequences.is_role("train"))
        self.latest = self.others.most(int(self.sequences.time.max(initial=0)))
        self.lists = None
        if impressions is not None:
            kept = impressions.take(np.flatnonzero(impressions.is_role("train")))
            self.lists = RankingLists.of(kept, dataset, settings.ranking)
        # The number of rows varies a little with the cut; steps are those of an uncut first epoch.
        first = self._rows(0)[0]
        self.rows = settings.training.rows // self.others.parts
        self.steps = self.others.most(max(1, -(-len(first.item) // self.rows)))
        asides = int((first.aside >= 0).sum())
        self.lists_a_step = max(1, math.ceil(ROOM * asides / self.steps))

    def target_share(self) -> np.ndarray:
        """Returns each item's share of all training targets: [items] float32."""
        counts = self.others.total(np.bincount(self.sequences.item, minlength=self.items)).astype(np.float32)
        counts[:FIRST_ROW] = 0
        return counts / max(counts.sum(), 1)

    def batches(self, epoch: int, shares: Sequence[int] = (0,), of: int = 1) -> Iterator[Batch]:
        """Yields `steps` batches of `rows` packed rows; the last ones are filled up with padding.

        Args:
            epoch: from 0.
            shares: of every batch those that are yielded, one after another.
            of: equal shares of its rows that a batch is cut into, those of other users' events among them.
        """
        rows, fold, weight = self._rows(epoch)
        size, of = self.rows, of // self.others.parts
        shares = [share - self.others.index * of for share in shares]
        random = self._random(epoch, 1)
        order = random.permutation(len(rows.item))
        order = np.append(order, np.full(max(self.steps * size - len(order), 0), -1))
        inputs = {name: _with_empty(tensor) for name, tensor in rows.inputs.items()}
        item, fold, weight = (_with_empty(tensor) for tensor in (rows.item, fold, weight))
        real = inputs["item"] >= FIRST_ROW
        pretraining = epoch < self.settings.training.pretraining_epochs
        changes, training = self.settings.augmentation, self.settings.training
        share = training.pretraining_mask if pretraining else changes.mask
        shown = np.where(real, mask_items(inputs["item"], share, UNKNOWN_ROW, random), inputs["item"])
        if pretraining:
            item = np.where(shown != inputs["item"], inputs["item"], PADDING_ROW)
        inputs["item"] = shown
        for step in range(self.steps):
            negatives = draw_uniform(random, self.items, self.settings.loss.uniform)
            for share in shares:
                part = order[step * size :][share * size // of : (share + 1) * size // of]
                target = item[part]
                wanted = {
                    "item": target,
                    "weight": np.where(target >= FIRST_ROW, weight[part], np.float32(0)),
                    "fold": fold[part],
                    "negatives": negatives,
                }
                if self.lists is not None:
                    lots = self._random(epoch, 2, step, share)
                    wanted |= self._lists(
                        _with_empty(rows.aside, -1)[part], -(-self.lists_a_step // of), lots
                    )
                yield {name: tensor[part] for name, tensor in inputs.items()}, wanted

    def _lists(self, aside: np.ndarray, room: int, random: np.random.Generator) -> dict[str, np.ndarray]:
        """The lists of a batch's asides [rows, P], as many as ever; of more than have room some by lot."""
        assert self.lists is not None
        at = random.permutation(np.argwhere(aside >= 0))[:room].astype(np.int32)
        number = aside[at[:, 0], at[:, 1]]
        short = room - len(at)
        ranking = self.settings.ranking
        found = self.lists.dense(np.append(number, np.full(short, -1)), ranking.candidates, random)
        drawn = random.random(found["hidden"].shape) < ranking.unknown
        found |= {"hidden": found["hidden"] | drawn, "at": np.pad(at, ((0, short), (0, 0)))}
        return {f"list.{name}": values for name, values in found.items()}

    def _random(self, epoch: int, *purpose: int) -> np.random.Generator:
        part = (self.others.index,) if self.others.parts > 1 else ()
        return np.random.default_rng((self.settings.seed, epoch, *purpose, *part))

    def _rows(self, epoch: int) -> tuple[Rows, np.ndarray, np.ndarray]:
        """Returns an epoch's rows, and at each of their places the fold of the user and the weight."""
        random = self._random(epoch, 0)
        changes = self.settings.augmentation
        sequences = self.sequences if self.ordered else shuffle_sessions(self.sequences, random)
        if changes.drop:
            sequences = drop_events(sequences, changes.drop, random)
        if changes.reorder:
            sequences = reorder_events(sequences, changes.reorder, random)
        places = self.settings.model.max_length + 1
        drawn = np.zeros(0, np.int64)
        lines = None
        if self.lists is not None:
            count = len(self.lists.impressions)
            drawn = np.sort(random.permutation(count)[: max(1, round(self.settings.ranking.share * count))])
            lines = self.lists.lines(sequences, self.gap_s, drawn)
        offsets = sequences.offsets if lines is None else lines.offsets
        shift = random.integers(0, places, len(offsets) - 1) if epoch else None
        start, stop = cut_windows(offsets, places, shift)
        if changes.cut_at_sessions:
            start = begin_at_sessions(sequences.session_starts, start, stop)
        order = random.permutation(len(start))
        rows = pack_entries(sequences, lines, start[order], stop[order], self.settings.row_length)
        rows = replace(rows, aside=np.append(drawn, -1)[rows.aside])
        fold = fold_of_user(sequences.users, self.folds)[sequences.user_of_event]
        weight = recency_weights(sequences.time, self.settings.training.half_life_days, self.latest)
        # Where there is no event, position -1 finds a zero at the end.
        return rows, *(np.append(values, values.dtype.type(0))[rows.position] for values in (fold, weight))


def recency_weights(time: np.ndarray, half_life_days: float | None, latest: int) -> np.ndarray:
    """Returns what events count as targets: [E] float32, half as much each `half_life_days` before the last.

    Args:
        time: [E] unix seconds.
        half_life_days: None: all count alike.
        latest: unix seconds of the last event.
    """
    if half_life_days is None:
        return np.ones(len(time), np.float32)
    age = (latest - time) / SECONDS_A_DAY
    return np.exp2(-age / half_life_days).astype(np.float32)


def shuffle_sessions(sequences: Sequences, random: np.random.Generator) -> Sequences:
    """Returns the events with the order inside each session drawn anew."""
    lot = random.random(len(sequences.item))
    return sequences.take(np.lexsort((lot, sequences.session, sequences.user_of_event)))


def _with_empty(tensor: np.ndarray, nothing: int = 0) -> np.ndarray:
    """A row of padding at the end, where index -1 finds it."""
    return np.concatenate([tensor, np.full_like(tensor[:1], nothing)])
