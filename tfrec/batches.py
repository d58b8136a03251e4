"""Sequences as the packed rows that the query tower reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tfrec.packing import pack, ranges
from tfrec.schema import PADDING_ROW
from tfrec.sequences import Sequences

SECONDS_A_WEEK = 7 * 86400
MONDAY = 4 * 86400
"""The first Monday of unix time, from which weeks are counted."""


@dataclass(frozen=True)
class Asides:
    """Requests beside those for the next events: places that ask, and that no other place looks at.

    Attributes:
        window: [A] int64, the window that each belongs to.
        before: [A] int64, the position of the newest event that each may look at, in its window; -1: none.
        time: [A] int64 unix seconds.
        session: [A] int32 number of the session within the user that each belongs to.
    """

    window: np.ndarray
    before: np.ndarray
    time: np.ndarray
    session: np.ndarray


@dataclass(frozen=True)
class Rows:
    """R packed rows of P places. Each window of events is preceded by a start that stands for no event.

    Attributes:
        inputs: tensors of the query tower by name, [R, P]; `segment` is the window's number + 1.
        item: [R, P] int32, the item of each place's next event; PADDING_ROW where there is none.
        position: [R, P] int64, place of that next event in the flat arrays; -1 where there is none.
        aside: [R, P] int64, the number of the aside at each place; -1 where there is none.
    """

    inputs: Mapping[str, np.ndarray]
    item: np.ndarray
    position: np.ndarray
    aside: np.ndarray


class _Requests(NamedTuple):
    """What stands at N places: the newest event before a request (-1: the start), and the request.

    `rank` is how many events of the window come before the request's; `at` the place within the window.
    """

    window: np.ndarray
    before: np.ndarray
    time: np.ndarray
    session: np.ndarray
    rank: np.ndarray
    at: np.ndarray


def pack_windows(
    sequences: Sequences, start: np.ndarray, stop: np.ndarray, row_length: int, asides: Asides | None = None
) -> Rows:
    """Packs windows of events, each with its start, into rows.

    The window's last event has no next one inside it: it is a target only, and takes no place. Asides stand
    behind the events of their window.

    Args:
        sequences: the events.
        start, stop: [W] windows in the flat arrays; a window takes a place for each event and aside, at least
            one and at most `row_length`.
        row_length: P.
        asides: further requests; None: the events are all that is asked for.
    """
    events = _for_events(sequences, start, stop)
    lengths, requests = stop - start, [events]
    if asides is not None:
        requests.append(_for_asides(asides, start, stop))
        lengths = lengths + np.bincount(asides.window, minlength=len(start))
    row, place = pack(lengths, row_length)
    shape = (int(row.max()) + 1 if len(row) else 0, row_length)
    all_of = _Requests(*(np.concatenate(parts) for parts in zip(*requests, strict=True)))
    at = row[all_of.window] * row_length + place[all_of.window] + all_of.at

    def spread(values: np.ndarray, dtype: type, fill: int = 0, at: np.ndarray = at) -> np.ndarray:
        flat: np.ndarray = np.full(shape[0] * row_length, fill, dtype)
        flat[at] = values
        return flat.reshape(shape)

    before, is_start = np.maximum(all_of.before, 0), all_of.before < 0

    def content(values: np.ndarray, at_start: Any) -> np.ndarray:
        """What the newest event has."""
        return np.where(is_start, at_start, values[before] if len(values) else at_start)

    first = np.full(len(start), np.iinfo(np.int64).max)
    np.minimum.at(first, all_of.window, content(sequences.time, all_of.time))
    base = week_before(first)[all_of.window]
    inputs = {
        "item": spread(content(sequences.item, PADDING_ROW), np.int32),
        "event_type": spread(content(sequences.event_type, PADDING_ROW), np.int32),
        "segment": spread(all_of.window + 1, np.int32),
        "session": spread(content(sequences.session, all_of.session - 1), np.int32),
        "time": spread(content(sequences.time, all_of.time) - base, np.int32),
        "request_time": spread(all_of.time - base, np.int32),
        "request_session": spread(all_of.session, np.int32),
    }
    for name, values in sequences.context.items():
        nothing = np.nan if values.dtype.kind == "f" else PADDING_ROW
        inputs[f"context.{name}"] = spread(content(values, nothing), values.dtype.type)
    begin = len(events.at)
    if asides is not None:
        inputs["rank"] = spread(all_of.rank, np.int32)
        inputs["aside"] = spread(np.arange(len(at)) >= begin, np.bool_)
    source = ranges(start, stop)
    return Rows(
        inputs=inputs,
        item=spread(sequences.item[source], np.int32, at=at[:begin]),
        position=spread(source, np.int64, -1, at=at[:begin]),
        aside=spread(np.arange(len(at) - begin), np.int64, -1, at=at[begin:]),
    )


def _for_events(sequences: Sequences, start: np.ndarray, stop: np.ndarray) -> _Requests:
    """The requests for the events of windows."""
    window = np.repeat(np.arange(len(start)), stop - start)
    source = ranges(start, stop)
    within = source - start[window]
    before = np.where(within == 0, -1, source - 1)
    return _Requests(window, before, sequences.time[source], sequences.session[source], within, within)


def _for_asides(asides: Asides, start: np.ndarray, stop: np.ndarray) -> _Requests:
    """Asides as requests."""
    window = asides.window
    order = np.argsort(window, kind="stable")
    counts = np.bincount(window, minlength=len(start))
    at = np.empty(len(window), np.int64)
    at[order] = np.arange(len(window)) - np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.where(asides.before < 0, 0, asides.before - start[window] + 1)
    return _Requests(window, asides.before, asides.time, asides.session, rank, at + (stop - start)[window])


def week_before(time: np.ndarray) -> np.ndarray:
    """Returns the Monday 0:00 UTC before each time: seconds since then fit 32 bits, and tell the hour."""
    return (time - MONDAY) // SECONDS_A_WEEK * SECONDS_A_WEEK + MONDAY
