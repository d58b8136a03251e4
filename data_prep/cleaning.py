"""Cleaning steps; each takes events away and says how many."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from data_prep.log import Column, Log
from data_prep.options import PrepareOptions
from data_prep.report import Report
from data_prep.times import A_DAY

LEAST_BOT_LIMIT = 300
"""No busy day below this many events makes a bot."""
MADS = 8.0
"""A day this many median absolute deviations above the median, on a log scale, is no person's."""


def clean(log: Log, options: PrepareOptions, report: Report, *, has_clock: bool) -> Log:
    """Drops duplicates, bots, and what is too rare, and notes each step."""

    def step(name: str, keep: Callable[[Log], np.ndarray], *, wanted: bool = True) -> None:
        nonlocal log
        if wanted:
            before = len(log)
            log = log.take(keep(log))
            report.add(name, before - len(log), len(log))

    step("exact duplicates", distinct, wanted=options.drop_duplicates)
    if has_clock and options.max_events_a_day != "none":
        limit = bot_limit(log) if options.max_events_a_day == "auto" else int(options.max_events_a_day)
        step(f"users with over {limit:,} events a day", lambda log: of_people(log, limit))
    step(
        f"items under {options.min_item_events} events",
        lambda log: _often(log.item, options.min_item_events),
        wanted=options.min_item_events > 1,
    )
    step(
        f"users under {options.min_user_events} events",
        lambda log: _often(log.user, options.min_user_events),
        wanted=options.min_user_events > 1,
    )
    return log


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


def bot_limit(log: Log) -> int:
    """Returns how many events a day a person may have: far above what the log's user-days have."""
    counts = np.log(_user_days(log).to_numpy())
    middle = np.median(counts)
    spread = np.median(np.abs(counts - middle)) * 1.4826
    return max(LEAST_BOT_LIMIT, int(np.exp(middle + MADS * spread)))


def of_people(log: Log, limit: int) -> np.ndarray:
    """[E] bool: events of users without a day of more than `limit` events."""
    days = _user_days(log)
    busy = days[days > limit].index.get_level_values("user").unique()
    return ~np.isin(log.user.codes, busy.to_numpy())


def _user_days(log: Log) -> pd.Series:
    """Events by user and day."""
    return pd.DataFrame({"user": log.user.codes, "day": log.time // A_DAY}).value_counts(sort=False)


def _often(column: Column, least: int) -> np.ndarray:
    """[E] bool: events whose value has at least so many."""
    return np.bincount(column.codes, minlength=len(column.values))[column.codes] >= least
