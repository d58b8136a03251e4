"""What is answered while the encoder is not there."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from serving.metrics import Metrics
from serving.retrieval.answerable import allowed_items, never_again
from serving.retrieval.settings import Fallback
from serving.tensors import Array
from tfrec.index.ids import NO_ROW
from tfrec.index.index import Index
from tfrec.servable import no_item

CACHE = "last-known"
"""The kind of fallback that remembers, and its name among caches."""
REMEMBERED = 10_000
"""questions"""
POPULAR = 1000
UNASKED = "request_time"
"""The one input in which the same question differs from moment to moment."""


class FallbackAnswers:
    """Popular items, or what the same question was answered last.

    Args:
        kind: which.
        metrics: count how often the last answer is known.
    """

    def __init__(self, kind: Fallback, metrics: Metrics) -> None:
        self._kind = kind
        self._metrics = metrics
        self._known: OrderedDict[bytes, dict[str, Array]] = OrderedDict()
        if kind == CACHE:
            metrics.watch_cache(CACHE, lambda: len(self._known))

    @property
    def available(self) -> bool:
        """Whether anything but an error is answered."""
        return self._kind != "none"

    def remember(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        """Keeps the answer to a question; the ones asked longest ago go."""
        if self._kind != CACHE:
            return
        for user, key in enumerate(_keys(inputs)):
            self._known[key] = {name: array[user].copy() for name, array in outputs.items()}
            self._known.move_to_end(key)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def answer(self, index: Index, inputs: Mapping[str, Array], k: int, tasks: list[str]) -> dict[str, Array]:
        """Returns item_id and score [B, k], and 0 for the probability of each task.

        Scores of popular items fall from 0 by 1: an order, no more.

        Args:
            index: the newest.
            inputs: of `recommend`.
            k: how many.
            tasks: that answers have probabilities of.
        """
        popular = _popular(index, inputs, k, tasks)
        if self._kind != CACHE:
            return popular
        nothing = {"item_id": _no_id(index), "score": -np.inf}
        for user, key in enumerate(_keys(inputs)):
            known = self._known.get(key, {})
            # Another servable may have answered with other tasks, or other many; and items go.
            hit = {name: len(array) for name, array in known.items()} == dict.fromkeys(popular, k)
            self._metrics.cache(CACHE, hit=hit)
            if not hit:
                continue
            there = index.rows(known["item_id"]) != NO_ROW
            for name, array in known.items():
                kept = array[there]
                popular[name][user, : len(kept)] = kept
                popular[name][user, len(kept) :] = nothing.get(name, 0.0)
        return popular


def _keys(inputs: Mapping[str, Array]) -> list[bytes]:
    """A digest of each user's question. Padding counts: another one is another question."""
    names = sorted(name for name in inputs if name != UNASKED)
    keys = []
    for user in range(len(inputs["length"])):
        digest = hashlib.blake2b(digest_size=16)
        for name in names:
            value = inputs[name][user]
            digest.update(name.encode())
            digest.update(repr(value.tolist()).encode() if value.dtype == object else value.tobytes())
        keys.append(digest.digest())
    return keys


def _popular(index: Index, inputs: Mapping[str, Array], k: int, tasks: list[str]) -> dict[str, Array]:
    excluded = index.rows(inputs["exclude_item_id"])
    users = len(excluded)
    rows = np.full((users, k), NO_ROW, np.int64)
    order = index.popular(POPULAR)
    for user, only in enumerate(allowed_items(index, inputs)):
        left = order
        if only is not None:
            left = np.concatenate([order[only.holds(order)], only.rows[~np.isin(only.rows, order)]])
        out = np.concatenate([excluded[user], never_again(index, inputs, user)])
        left = left[~np.isin(left, out)][:k]
        rows[user, : len(left)] = left
    score = np.where(rows == NO_ROW, -np.inf, -np.arange(k, dtype=np.float32)).astype(np.float32)
    found: dict[str, Array] = {"item_id": index.raw(rows, _no_id(index)), "score": score}
    return found | {name: np.zeros((users, k), np.float32) for name in tasks}


def _no_id(index: Index) -> int | bytes:
    nothing = no_item(index.info.item_id_type)
    return nothing if isinstance(nothing, int) else nothing.encode()
