"""What was known of an item at a moment: counts of what came before it, and nothing of what came after.

Events have times of their own, and count from then on. Labels of impressions do not: a click comes at once,
but what was bought two days after it was shown is not known when the next user asks. Only labels that come at
once may be among the streams.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

HOURS = (1, 6, 24)
"""Windows of the counts."""
AN_HOUR = 3600


@dataclass(frozen=True)
class Stream:
    """Things that happened to items, or to pairs of user and item.

    Attributes:
        key: [M] integers, number of the item or pair, from 0.
        time: [M] int64 unix seconds.
    """

    key: np.ndarray
    time: np.ndarray


class History:
    """A stream that is asked what had happened strictly before given moments.

    Args:
        stream: in any order.
    """

    def __init__(self, stream: Stream) -> None:
        some = len(stream.time) > 0
        self.begin = int(stream.time.min()) if some else 0
        self.span = int(stream.time.max()) - self.begin + 2 if some else 2
        self.keys = np.sort(self._place(stream.key, stream.time))

    def count(self, key: np.ndarray, time: np.ndarray, seconds: int | None = None) -> np.ndarray:
        """Returns how many there were in [time - seconds, time): [N] int64; since ever without seconds."""
        first = np.full_like(time, self.begin) if seconds is None else time - seconds
        until = np.searchsorted(self.keys, self._place(key, time))
        return until - np.searchsorted(self.keys, self._place(key, first))

    def hours_since_first(self, key: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Returns hours since the first one before each time: [N] float32, NaN where there was none."""
        at = np.searchsorted(self.keys, self._place(key, np.full_like(time, self.begin)))
        return self._hours(at, key, time)

    def hours_since_last(self, key: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Returns hours since the last one before each time: [N] float32, NaN where there was none."""
        return self._hours(np.searchsorted(self.keys, self._place(key, time)) - 1, key, time)

    def _place(self, key: np.ndarray, time: np.ndarray) -> np.ndarray:
        """One number for both, in the order of keys, then times; times beyond the stream at its ends."""
        return key.astype(np.int64) * self.span + np.clip(time - self.begin, 0, self.span - 1)

    def _hours(self, at: np.ndarray, key: np.ndarray, time: np.ndarray) -> np.ndarray:
        found = np.append(self.keys, -1)[np.clip(at, -1, len(self.keys))]
        then = found % self.span + self.begin
        known = (found // self.span == key) & (found >= 0) & (then < time)
        return np.where(known, (time - then) / AN_HOUR, np.nan).astype(np.float32)


def item_statistics(
    events: Mapping[str, Stream],
    shown: Stream,
    labelled: Mapping[str, Stream],
    item: np.ndarray,
    time: np.ndarray,
) -> dict[str, np.ndarray]:
    """Returns statistics of items at moments, [N] float32 by name.

    `events_1h`, `_6h`, `_24h`: events of the last hours, where there are several types also by type as
    `events_1h.TYPE`; `shown_1h` …: how often it was shown; `LABEL_1h` …: how often with the label; `age_h`:
    hours since it was first seen, NaN for what was not.

    Args:
        events: by event type.
        shown: of impressions.
        labelled: of these, those with a label, by its name.
        item: [N] numbers, as in the streams.
        time: [N] unix seconds.
    """
    # Neighbours in the order of the streams' own are found near each other: ten times as fast as by lot.
    order = np.lexsort((time, item))
    found = _item_statistics(events, shown, labelled, item[order], time[order])
    return {name: _at(values, order) for name, values in found.items()}


def _item_statistics(
    events: Mapping[str, Stream],
    shown: Stream,
    labelled: Mapping[str, Stream],
    item: np.ndarray,
    time: np.ndarray,
) -> dict[str, np.ndarray]:
    streams = {"events": _together(events.values()), "shown": shown, **labelled}
    if len(events) > 1:
        streams |= {f"events.{name}": stream for name, stream in events.items()}
    found = {}
    for name, stream in streams.items():
        what, _, event_type = name.partition(".")
        history = History(stream)
        for hours in HOURS:
            counted = f"{what}_{hours}h" + (f".{event_type}" if event_type else "")
            found[counted] = history.count(item, time, hours * AN_HOUR).astype(np.float32)
    seen = History(_together([streams["events"], shown]))
    return found | {"age_h": seen.hours_since_first(item, time)}


def pair_statistics(
    events: Stream, shown: Stream, pair: np.ndarray, time: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns statistics of a user and an item at moments, [N] float32 by name.

    `user_events`: the user's own events of the item; `user_shown`: how often it was shown to the user;
    `user_shown_h`: hours since it last was, NaN where it was not.

    Args:
        events, shown: streams of pairs.
        pair: [N] numbers, as in the streams.
        time: [N] unix seconds.
    """
    order = np.lexsort((time, pair))
    pair, time = pair[order], time[order]
    before = History(shown)
    found = {
        "user_events": History(events).count(pair, time).astype(np.float32),
        "user_shown": before.count(pair, time).astype(np.float32),
        "user_shown_h": before.hours_since_last(pair, time),
    }
    return {name: _at(values, order) for name, values in found.items()}


def _at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[N] values, each put to its place."""
    found = np.empty_like(values)
    found[places] = values
    return found


def _together(streams: Iterable[Stream]) -> Stream:
    parts = list(streams)
    return Stream(np.concatenate([part.key for part in parts]), np.concatenate([part.time for part in parts]))
