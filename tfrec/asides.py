"""Impressions as asides: requests beside those for the next events, cut into windows with the events.

Users' events and impressions form one line each, in order of time; what is shown stands before an event of
the same second, since it may look at what came strictly before it alone.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from tfrec.batches import Asides, Rows, pack_windows
from tfrec.sequences import Sequences


class Windows(NamedTuple):
    """W windows of events, and the asides that belong to them.

    Attributes:
        start, stop: [W] int64 in the flat arrays.
        asides: A of them.
        impression: [A] int64, which impression each is.
    """

    start: np.ndarray
    stop: np.ndarray
    asides: Asides
    impression: np.ndarray


@dataclass(frozen=True)
class Lines:
    """Lines of events and impressions, one after another: M entries in V lines.

    Attributes:
        offsets: [V + 1] int64; a line a user, then one for each impression of a user without events.
        impression: [M] int64, its place among those that were laid; -1: an event.
        events: [M + 1] int64, how many events of all lines stand before each entry.
        entry: [A] int64, where each impression stands.
        before: [A] int64, the position of the newest event before each impression; -1: none.
        session: [A] int32, the session that each belongs to.
        time: [A] int64 unix seconds.
    """

    offsets: np.ndarray
    impression: np.ndarray
    events: np.ndarray
    entry: np.ndarray
    before: np.ndarray
    session: np.ndarray
    time: np.ndarray

    @classmethod
    def of(
        cls,
        sequences: Sequences,
        user: np.ndarray,
        time: np.ndarray,
        gap_s: int,
        session: np.ndarray | None = None,
    ) -> "Lines":
        """Lays events and impressions.

        Args:
            sequences: the events.
            user: [A] int64 places of the impressions' users; -1 for users without events.
            time: [A] int64 unix seconds.
            gap_s: a longer gap since the last event opens a new session.
            session: [A] int32, where that is known otherwise; -1: where it is not.
        """
        users, none = sequences.users, user < 0
        line = np.where(none, users + np.cumsum(none) - 1, user)
        lines = np.concatenate([sequences.user_of_event, line])
        is_event = np.arange(len(lines)) < len(sequences.item)
        order = np.lexsort((is_event, np.concatenate([_risen(sequences), time]), lines))
        stands = is_event[order]
        events = np.append(0, np.cumsum(stands)).astype(np.int64)
        impression = np.where(stands, -1, order - len(sequences.item))
        entry = np.empty(len(user), np.int64)
        entry[impression[~stands]] = np.flatnonzero(~stands)
        before = events[entry] - 1
        first = np.append(sequences.offsets, [len(sequences.item)] * (int(none.sum()) + 1))[line]
        before = np.where(before >= first, before, -1)
        by_gap = _sessions(sequences, before, time, gap_s)
        return cls(
            offsets=np.append(0, np.cumsum(np.bincount(lines, minlength=users + int(none.sum())))),
            impression=impression,
            events=events,
            entry=entry,
            before=before,
            session=by_gap if session is None else np.where(session < 0, by_gap, session),
            time=time,
        )

    def windows(self, sequences: Sequences, places: int, most: int) -> "Windows":
        """Returns windows in which each impression sees the newest `places` // 2 events before it, or more.

        The impressions of a window take no place from its events.

        Args:
            sequences: the events that were laid.
            places: events of a window, at most.
            most: asides of a window.
        """
        line = np.searchsorted(self.offsets, self.entry, side="right") - 1
        order = np.lexsort((self.before, line))
        line, before = line[order], self.before[order]
        begin = np.append(sequences.offsets, [len(sequences.item)] * len(self.offsets))[line]
        seen = pd.Series(np.maximum(before + 1, begin))
        half = (seen - seen.groupby(line).transform("first")) // max(places // 2, 1)
        part = pd.factorize(line * (len(sequences.item) + 1) + half)[0]
        window = pd.factorize(part * len(line) + half.groupby(part).cumcount() // most)[0]
        stop = seen.groupby(window).max().to_numpy(np.int64)
        start = np.maximum(pd.Series(begin).groupby(window).first().to_numpy(np.int64), stop - places)
        asides = Asides(window, before, self.time[order], self.session[order])
        return Windows(start, stop, asides, order)

    def cut(self, start: np.ndarray, stop: np.ndarray) -> "Windows":
        """Returns what windows of entries hold.

        Args:
            start, stop: [W] windows of entries, each in one line.
        """
        sizes = stop - start
        window = np.repeat(np.arange(len(start)), sizes)
        entry = np.arange(sizes.sum()) + np.repeat(start - (np.cumsum(sizes) - sizes), sizes)
        shown = self.impression[entry] >= 0
        impression, window = self.impression[entry[shown]], window[shown]
        begin, end = self.events[start], self.events[stop]
        before = self.before[impression]
        before = np.where(before >= begin[window], before, -1)
        asides = Asides(window, before, self.time[impression], self.session[impression])
        return Windows(begin, end, asides, impression)


def pack_entries(
    sequences: Sequences, lines: Lines | None, start: np.ndarray, stop: np.ndarray, row_length: int
) -> Rows:
    """As `pack_windows`, of windows of entries; the asides of the rows are the numbers of impressions.

    Args:
        sequences: the events.
        lines: of events and impressions; None: of events alone.
        start, stop: [W] windows of entries.
        row_length: P.
    """
    if lines is None:
        return pack_windows(sequences, start, stop, row_length)
    begin, end, asides, impression = lines.cut(start, stop)
    rows = pack_windows(sequences, begin, end, row_length, asides)
    return replace(rows, aside=np.append(impression, -1)[rows.aside])


def _risen(sequences: Sequences) -> np.ndarray:
    """[E] the latest time so far of each user: sessions of own ids may lie one in another, and times fall."""
    if not len(sequences.time):
        return sequences.time
    begin, span = sequences.time.min(), np.ptp(sequences.time) + 1
    key = sequences.user_of_event * span + sequences.time - begin
    return np.maximum.accumulate(key) % span + begin


def _sessions(sequences: Sequences, before: np.ndarray, time: np.ndarray, gap_s: int) -> np.ndarray:
    """[A] int32 the newest event's session, or the one after it."""
    if not len(sequences.item):
        return np.zeros(len(time), np.int32)
    at = np.maximum(before, 0)
    opens = time - sequences.time[at] > gap_s
    return np.where(before < 0, 0, sequences.session[at] + opens).astype(np.int32)
