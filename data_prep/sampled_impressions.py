"""Impressions of a log that has none: what a session went on to, beside items drawn by lot."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from data_prep.impression_moments import numbers_of_user
from data_prep.impression_options import SampledOptions
from data_prep.impressions import Heads, Impressions
from data_prep.log import Column, Log
from data_prep.splits import TRAIN
from tfrec.errors import SettingsError


class _Moments(NamedTuple):
    """A moment of each of S sessions.

    Attributes:
        event: [S] the event at the moment.
        time: [S] int64 unix seconds.
        role: [S] int8.
    """

    event: np.ndarray
    time: np.ndarray
    role: np.ndarray


def sampled_impressions(
    log: Log, session: np.ndarray, role: np.ndarray, asked: SampledOptions, *, ordered: bool, seed: int
) -> Impressions:
    """Returns an impression a session, by time.

    Its moment is that of one of the session's events, drawn by lot; without an order inside sessions, their
    begin. Its candidates are the items of the session's events from then on, with labels by the types of
    these events, and items drawn uniformly. All had a train event before: that an item is new would tell that
    somebody will have it. What was drawn stands for as many as were not, so that probabilities are those of
    the whole catalogue.

    Args:
        log: E events, in order of users and sessions.
        session: [E] numbered over all users.
        role: [E].
        asked: how many are drawn, and the labels.
        ordered: whether the order inside sessions means something.
        seed: of the lots.

    Raises:
        SettingsError: a label names an event type, or a value a column, that the log has not.
    """
    labels = _types_of_labels(log, asked)
    random = np.random.default_rng((seed, 1))
    at = _moments(log, session, role, random, ordered=ordered)
    items = len(log.item.values)
    after = np.flatnonzero(log.time >= at.time[session])
    key = session[after] * items + log.item.codes[after]
    first = _first_times(log, role)
    own = role[after] == at.role[session[after]]
    own &= first[log.item.codes[after]] < at.time[session[after]]
    positive, place = np.unique(key[own], return_inverse=True)
    found = {}
    for name, types in labels.items():
        has = np.isin(log.event.codes[after[own]], types)
        found[name] = np.bincount(place, has, len(positive)) > 0
    values = _values(log, asked, after[own], place)
    drawn, stands_for = _draw(first, at, np.unique(key), asked.negatives, random)
    keys = np.concatenate([positive, drawn])
    order = np.lexsort((random.random(len(keys)), keys // items))
    of, item = keys[order] // items, keys[order] % items
    nothing = np.zeros(len(drawn), bool)
    sessions = len(at.time)
    return Impressions(
        heads=Heads(
            id=Column(np.arange(sessions, dtype=np.int32), pd.RangeIndex(sessions)),
            user=log.user.take(at.event),
            time=at.time,
            context={},
            role=at.role,
            session=numbers_of_user(log, session)[at.event],
        ),
        offsets=np.append(0, np.cumsum(np.bincount(of, minlength=sessions))).astype(np.int64),
        item=Column(item.astype(np.int32), log.item.values),
        labels={n: np.concatenate([v, nothing])[order].astype(np.int8) for n, v in found.items()},
        values={n: np.append(v, np.full(len(drawn), np.float32(np.nan)))[order] for n, v in values.items()},
        stands_for=np.concatenate([np.ones(len(positive)), stands_for])[order].astype(np.float32),
    ).by_time()


def _types_of_labels(log: Log, asked: SampledOptions) -> dict[str, np.ndarray]:
    """The codes of the event types of each label; each type a label of its own where none is asked for."""
    known = [str(value) for value in log.event.values]
    labels = asked.labels or {name: (name,) for name in known}
    for name, types in labels.items():
        if unknown := sorted(set(types) - set(known)):
            raise SettingsError(
                f"--label {name}: the log has no event type {', '.join(unknown)}; its types are "
                f"{', '.join(known)}"
            )
    return {name: np.array([known.index(t) for t in types]) for name, types in labels.items()}


def _values(log: Log, asked: SampledOptions, event: np.ndarray, place: np.ndarray) -> dict[str, np.ndarray]:
    """The numbers of each candidate that came: those of its first event.

    Args:
        event: [M] events from the moments on, in order.
        place: [M] the candidate of each.
    """
    found = {}
    for name, source in asked.values.items():
        column = log.context.get(source)
        if not isinstance(column, np.ndarray):
            numeric = [n for n, values in log.context.items() if isinstance(values, np.ndarray)]
            raise SettingsError(
                f"--value {name}: {source!r} is no numeric context column of the events; such ones are "
                f"{', '.join(numeric) or 'none'}"
            )
        first = np.unique(place, return_index=True)[1]
        found[name] = column[event[first]]
    return found


def _moments(
    log: Log, session: np.ndarray, role: np.ndarray, random: np.random.Generator, *, ordered: bool
) -> _Moments:
    begin = np.append(0, np.flatnonzero(np.diff(session)) + 1)
    sizes = np.diff(np.append(begin, len(session)))
    event = begin + (random.random(len(begin)) * sizes).astype(np.int64) if ordered else begin
    time = log.time[event] if ordered else np.minimum.reduceat(log.time, begin)
    return _Moments(event, time, role[event])


def _first_times(log: Log, role: np.ndarray) -> np.ndarray:
    """[items] int64 unix seconds of each item's first train event; items without: the end of time."""
    first = np.full(len(log.item.values), np.iinfo(np.int64).max)
    np.minimum.at(first, log.item.codes[role == TRAIN], log.time[role == TRAIN])
    return first


def _holds(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[M] bool: which values are among ordered ones."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[place] == values)


def _draw(
    first: np.ndarray, at: _Moments, barred: np.ndarray, number: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws items that each moment knows: keys (session and item) that are not barred, each once.

    Args:
        first: [items] when each is known from.
        at: the moments.
        barred: sorted keys.
        number: of draws a session; what is drawn twice or barred falls away.

    Returns:
        Keys, and how many of the catalogue each stands for.
    """
    items = len(first)
    by_first = np.argsort(first, kind="stable")
    known = np.searchsorted(first[by_first], at.time, side="left")
    place = (random.random((len(known), number)) * known[:, None]).astype(np.int64)
    keys = np.arange(len(known))[:, None] * items + by_first[np.minimum(place, items - 1)]
    # Sorting is faster than the hashing of NumPy's own difference of sets, which jumps about in memory.
    drawn = np.sort(keys[known > 0], axis=None)
    drawn = drawn[np.append(True, drawn[1:] != drawn[:-1])[: len(drawn)]]
    drawn = drawn[~_holds(barred, drawn)]
    left = known - np.bincount(barred // items, first[barred % items] < at.time[barred // items], len(known))
    kept = np.bincount(drawn // items, minlength=len(known))
    return drawn, (left / np.maximum(kept, 1))[drawn // items]
