"""Cleaning steps; each takes events away and says how many."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from data_prep.facts import ClockFacts, clock_facts, has_clock_times
from data_prep.log import Column, Log
from data_prep.options import PrepareOptions
from data_prep.parts import Part, Work
from data_prep.times import A_DAY
from data_prep.vocabularies import summed, value_counts

LEAST_BOT_LIMIT = 300
"""No busy day below this many events makes a bot."""
MADS = 8.0
"""A day this many median absolute deviations above the median, on a log scale, is no person's."""


def clean(work: Work, options: PrepareOptions) -> bool:
    """Drops duplicates, bots, and what is too rare, and returns whether times are clock times."""
    clock = _clock(work, options)
    if options.drop_duplicates:
        work.keep("exact duplicates", _distinct)
    if options.max_events_a_day == "auto":
        busy = work.look(_busy_days)
    has_clock = clock()
    if has_clock and options.max_events_a_day != "none":
        limit = bot_limit(busy()) if options.max_events_a_day == "auto" else int(options.max_events_a_day)
        work.keep(f"users with over {limit:,} events a day", partial(_of_people, limit=limit))
    if options.min_item_events > 1:
        total = summed(work.look(_item_counts)())
        often = total.index[total >= options.min_item_events]
        work.keep(f"items under {options.min_item_events} events", partial(_of_items, often=often))
    if options.min_user_events > 1:
        least = options.min_user_events
        work.keep(f"users under {least} events", partial(_of_users, least=least))
    return has_clock


def find_clock(work: Work, options: PrepareOptions) -> bool:
    """Returns whether times are clock times."""
    return _clock(work, options)()


def distinct(log: Log) -> np.ndarray:
    """[E] bool: events that equal no earlier one in all that was read."""
    columns: dict[str, np.ndarray] = {
        "user": log.user.codes,
        "item": log.item.codes,
        "time": log.time,
        "event": log.event.codes,
    }
    if log.session:
        columns["session"] = log.session.codes
    for name, column in log.context.items():
        columns[f"context.{name}"] = column.codes if isinstance(column, Column) else column
    return ~pd.DataFrame(columns, copy=False).duplicated().to_numpy()


def busy_days(log: Log) -> np.ndarray:
    """Returns how many days of a user have so many events: int64, at the place of that number."""
    return np.bincount(_user_days(log).to_numpy()).astype(np.int64)


def bot_limit(days: Sequence[np.ndarray]) -> int:
    """Returns how many events a day a person may have: far above what the log's user-days have.

    Args:
        days: of the parts of a log, by `busy_days`.
    """
    total = np.zeros(max(map(len, days), default=0), np.int64)
    for part in days:
        total[: len(part)] += part
    events = np.flatnonzero(total)
    if not len(events):
        return LEAST_BOT_LIMIT
    counts, weights = np.log(events), total[events]
    middle = _median(counts, weights)
    spread = _median(np.abs(counts - middle), weights) * 1.4826
    return max(LEAST_BOT_LIMIT, int(np.exp(middle + MADS * spread)))


def of_people(log: Log, limit: int) -> np.ndarray:
    """[E] bool: events of users without a day of more than `limit` events."""
    days = _user_days(log)
    busy = days[days > limit].index.get_level_values("user").unique()
    return ~np.isin(log.user.codes, busy.to_numpy())


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    """The median of values that stand so many times each."""
    order = np.argsort(values)
    ends = np.cumsum(weights[order])
    ranks = [(ends[-1] - 1) // 2, ends[-1] // 2]
    return float(values[order][np.searchsorted(ends, ranks, side="right")].mean())


def _user_days(log: Log) -> pd.Series:
    """Events by user and day."""
    return pd.DataFrame({"user": log.user.codes, "day": log.time // A_DAY}).value_counts(sort=False)


def _clock(work: Work, options: PrepareOptions) -> Callable[[], bool]:
    """What the options say, or what the log tells as soon as it is asked."""
    said = options.has_clock
    if said is not None:
        return lambda: said
    facts = work.look(_clock_facts)
    return lambda: has_clock_times(facts())


def _clock_facts(part: Part) -> ClockFacts:
    return clock_facts(part.log)


def _distinct(part: Part) -> np.ndarray:
    return distinct(part.log)


def _busy_days(part: Part) -> np.ndarray:
    return busy_days(part.log)


def _of_people(part: Part, limit: int) -> np.ndarray:
    return of_people(part.log, limit)


def _item_counts(part: Part) -> pd.Series:
    return value_counts(part.log.item, np.ones(len(part), bool))


def _of_items(part: Part, often: pd.Index) -> np.ndarray:
    item = part.log.item
    return (often.get_indexer(item.values) >= 0)[item.codes]


def _of_users(part: Part, least: int) -> np.ndarray:
    user = part.log.user
    return (np.bincount(user.codes, minlength=len(user.values)) >= least)[user.codes]
