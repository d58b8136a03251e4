"""Which events a model may learn from, tune on, and is asked for: protocols of the literature."""

import numpy as np
import pandas as pd

from data_prep.options import Split
from data_prep.times import A_DAY

TRAIN, VAL, TEST = 0, 1, 2


def roles(
    split: Split, user: np.ndarray, session: np.ndarray, time: np.ndarray, days: int, end: int
) -> np.ndarray:
    """Returns the role of each event: [E] int8, places in `tfrec.schema.ROLES`.

    Args:
        split: `leave_one_out`: a user's last event is test, the one before it val.
            `last_session`: a user's last session is test, the one before it val; users with fewer
            than three sessions are all train. `global_time`: sessions that start in the last
            `days` are test, in the `days` before them val. `none`: all is train.
        user: [E] codes, sorted.
        session: [E] numbers over all users, rising.
        time: [E] unix seconds.
        days: of `global_time`.
        end: the log's last time, of `global_time`.
    """
    if split == "leave_one_out":
        left = _to_the_end(user)
        return np.select([left == 0, left == 1], [TEST, VAL], TRAIN).astype(np.int8)
    if split == "last_session":
        return _last_session(user, session)
    if split == "global_time":
        start = pd.Series(time).groupby(session).transform("min").to_numpy()
        span = days * A_DAY
        return np.select([start > end - span, start > end - 2 * span], [TEST, VAL], TRAIN).astype(np.int8)
    return np.full(len(user), TRAIN, np.int8)


def _to_the_end(groups: np.ndarray) -> np.ndarray:
    """How many events of the same group follow each."""
    return pd.Series(groups).groupby(groups).cumcount(ascending=False).to_numpy()


def _last_session(user: np.ndarray, session: np.ndarray) -> np.ndarray:
    first = np.flatnonzero(np.append(True, session[1:] != session[:-1])[: len(session)])
    owner = user[first]
    left = _to_the_end(owner)
    many = pd.Series(owner).groupby(owner).transform("size").to_numpy() >= 3
    role = np.select([many & (left == 0), many & (left == 1)], [TEST, VAL], TRAIN).astype(np.int8)
    return np.repeat(role, np.diff(np.append(first, len(session))))
