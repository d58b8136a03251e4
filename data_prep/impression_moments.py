"""The moments and the sessions of impressions beside those of their log."""

import numpy as np
import pandas as pd

from data_prep.log import Log


def at_session_begins(time: np.ndarray, user: np.ndarray, log: Log, session: np.ndarray) -> np.ndarray:
    """Returns the moments of impressions, those during a session of their user moved to its begin.

    Events of unordered sessions all have the time of the first one. What is shown while such a session goes
    on would see those that came after it; so it sees none of them.

    Args:
        time: [I] int64 unix seconds.
        user: [I] int64 codes of the log's users, and numbers beyond them for users that the log has not.
        log: events sorted by user and session, with the times that they really have.
        session: [E] int64 of each event, numbered over all users.
    """
    spans = pd.DataFrame({"user": log.user.codes, "session": session, "time": log.time})
    spans = spans.groupby("session").agg(user=("user", "first"), begin=("time", "min"), end=("time", "max"))
    spans = spans.sort_values(["user", "begin"], kind="stable")
    # Sessions of own ids may lie one in another: together they are one span.
    spans["end"] = spans.groupby("user")["end"].cummax()
    opens = spans["begin"] > spans.groupby("user")["end"].shift(fill_value=np.iinfo(np.int64).min)
    spans = spans.groupby(opens.cumsum()).agg(
        user=("user", "first"), begin=("begin", "min"), end=("end", "max")
    )
    asked = pd.DataFrame({"user": user.astype(np.int64), "time": time, "place": np.arange(len(time))})
    found = pd.merge_asof(
        asked.sort_values("time"),
        spans.astype(np.int64).sort_values("begin"),
        by="user",
        left_on="time",
        right_on="begin",
    ).sort_values("place")
    during = (found["time"] <= found["end"]).to_numpy()
    return np.where(during, found["begin"].fillna(0).astype(np.int64), time)


def numbers_of_user(log: Log, session: np.ndarray) -> np.ndarray:
    """Returns the number of each event's session among those of its user: [E] int32.

    Args:
        log: events sorted by user and session.
        session: [E] numbered over all users.
    """
    opens = np.append(True, np.diff(log.user.codes) != 0)
    return (session - session[opens][np.cumsum(opens) - 1]).astype(np.int32)


def numbers_in_log(user: np.ndarray, named: np.ndarray, log: Log, session: np.ndarray) -> np.ndarray:
    """Returns the number of the session that each impression names among its user's: [I] int32; -1: none.

    Args:
        user, named: [I] int64 codes of the log's users and sessions, and numbers beyond them for others.
        log: events sorted by user and session, with sessions of its own.
        session: [E] numbered over all users.
    """
    assert log.session is not None
    key = ["user", "named"]
    events = pd.DataFrame({"user": log.user.codes, "named": log.session.codes}).astype(np.int64)
    events["number"] = numbers_of_user(log, session)
    asked = pd.DataFrame({"user": user, "named": named}).astype(np.int64)
    found = asked.merge(events.drop_duplicates(key), on=key, how="left")
    return found["number"].fillna(-1).to_numpy(np.int32)
