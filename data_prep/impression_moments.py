"""The moments of impressions where the order inside sessions means nothing."""

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
