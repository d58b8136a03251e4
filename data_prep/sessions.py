"""Events in order, and cut into sessions."""

from dataclasses import replace

import numpy as np
import pandas as pd

from data_prep.log import Log
from data_prep.lots import by_lot
from data_prep.options import PrepareOptions


def sort_events(log: Log, options: PrepareOptions) -> Log:
    """Returns the events sorted by user and time; ties keep the order of the files.

    With session ids of the log's own, a session's events stay together: sessions are sorted by
    their first event. Inside unordered sessions the order is drawn by lot, so that an order which
    the file happens to have (Complete Journey lists a basket by product id) reaches nobody.
    """
    user = _rank(log)
    if log.session is None:
        return log.take(np.lexsort((log.time, user)))
    place = _session_places(user, log.session.codes, log.time)
    if options.ordered_sessions:
        return log.take(np.lexsort((log.time, place)))
    return shuffle_inside(log, place)


def with_positions(log: Log) -> Log:
    """Returns the sorted events with their place in the user's history, from 0, for times."""
    user = pd.Series(log.user.codes)
    return replace(log, time=user.groupby(user.to_numpy()).cumcount().to_numpy(np.int64))


def shuffle_inside(log: Log, session: np.ndarray) -> Log:
    """Returns the events in the order of sessions, and by lot inside each."""
    assert log.lot is not None
    return log.take(by_lot(session, log.lot))


def with_session_times(log: Log, session: np.ndarray) -> Log:
    """Returns the events with the time of their session's first one.

    Times inside an unordered session would tell the order that is said to mean nothing.
    """
    begins = _begins(session)
    first = np.minimum.reduceat(log.time, begins)
    return replace(log, time=np.repeat(first, np.diff(np.append(begins, len(log)))))


def number_sessions(log: Log, gap_s: int) -> np.ndarray:
    """Returns the session of each sorted event, numbered over all users, in order: [E] int64.

    A session ends with its user, where the log's own session id changes, or, without one, where
    the time to the next event is longer than `gap_s`.
    """
    if not len(log):
        return np.zeros(0, np.int64)
    new = log.user.codes[1:] != log.user.codes[:-1]
    if log.session is not None:
        new |= log.session.codes[1:] != log.session.codes[:-1]
    else:
        new |= np.diff(log.time) > gap_s
    return np.append(0, np.cumsum(new)).astype(np.int64)


def not_repeated(log: Log, session: np.ndarray) -> np.ndarray:
    """[E] bool: events whose item is not that of the event just before, in the same session."""
    same = (log.item.codes[1:] == log.item.codes[:-1]) & (session[1:] == session[:-1])
    return np.append(True, ~same)[: len(log)]


def first_in_session(log: Log, session: np.ndarray) -> np.ndarray:
    """[E] bool: each item's first event in a session."""
    pairs = session * (len(log.item.values) + 1) + log.item.codes
    return ~pd.Series(pairs).duplicated().to_numpy()


def _begins(session: np.ndarray) -> np.ndarray:
    """Where each session of sorted events begins."""
    return np.append(0, np.flatnonzero(session[1:] != session[:-1]) + 1)


def _session_places(user: np.ndarray, session: np.ndarray, time: np.ndarray) -> np.ndarray:
    """[E] int32 the place of each event's session in the order of users, then of first events.

    Sessions of a user that begin at one time keep the order in which they begin in the log.

    Args:
        user: [E] ranks.
        session: [E] codes; the same code with another user is another session.
        time: [E] unix seconds.
    """
    if not len(time):
        return np.zeros(0, np.int32)
    order = np.lexsort((session, user))
    new = (np.diff(user[order]) != 0) | (np.diff(session[order]) != 0)
    first = np.append(0, np.flatnonzero(new) + 1)
    start = np.minimum.reduceat(time[order], first)
    row = order[first]  # `lexsort` is stable: the first of a session here is its first in the log
    rank = np.empty(len(first), np.int32)
    rank[np.lexsort((row, start, user[row]))] = np.arange(len(first), dtype=np.int32)
    place = np.empty(len(time), np.int32)
    place[order] = np.repeat(rank, np.diff(np.append(first, len(time))))
    return place


def _rank(log: Log) -> np.ndarray:
    """[E] the place of each event's user in the sorted order of raw ids."""
    place = np.empty(len(log.user.values), np.int32)
    place[log.user.values.argsort()] = np.arange(len(place), dtype=np.int32)
    return place[log.user.codes]
