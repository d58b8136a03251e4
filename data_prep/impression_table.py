"""Impressions beside their log: its items and users, roles, and what was known at each moment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from data_prep.impression_moments import at_session_begins, numbers_in_log
from data_prep.impressions import Impressions
from data_prep.log import Column, Log
from data_prep.options import PrepareOptions, Split
from data_prep.sampled_impressions import sampled_impressions
from data_prep.splits import TEST, TRAIN, VAL
from data_prep.statistics import Stream, item_statistics, pair_statistics
from tfrec.errors import DataError, SettingsError


@dataclass(frozen=True)
class ImpressionTable:
    """Impressions as a dataset has them.

    Attributes:
        impressions: by time.
        item: [N] int64 codes of the log's items, and numbers beyond them for items that the log has not.
        role: [I] int8.
        statistics: [N] float32 by name, of each candidate at its moment.
    """

    impressions: Impressions
    item: np.ndarray
    role: np.ndarray
    statistics: dict[str, np.ndarray]


def with_log(
    impressions: Impressions | None,
    log: Log,
    session: np.ndarray,
    role: np.ndarray,
    options: PrepareOptions,
    *,
    has_clock: bool,
) -> ImpressionTable | None:
    """Returns impressions with what the log says of them, or those made of it; None without any.

    Args:
        impressions: by time; None: of no file.
        log: cleaned events, in order of users and sessions, with the times that they really have.
        session: [E] of the events.
        role: [E] of the events.
        options: of the log and of impressions.
        has_clock: whether times are clock times.

    Raises:
        SettingsError: impressions name sessions, and the log has none.
        DataError: the log has no clock times; see also `beside_log`.
    """
    sampled = options.sampled_impressions
    if impressions is None and sampled is None:
        return None
    if not has_clock:
        raise DataError(
            "impressions have moments, and the log has positions for times: which events came before one "
            "cannot be said. Leave them out, or say --clock if they are unix seconds."
        )
    if impressions is None or options.impressions is None:
        assert sampled is not None
        made = sampled_impressions(
            log, session, role, sampled, ordered=options.ordered_sessions, seed=options.seed
        )
        found = beside_log(made, log, role, options.split, options.session_gap_s, ())
        # Nobody was shown them, and all had events before, so that ages are those of events.
        told = {n: v for n, v in found.statistics.items() if not n.startswith(("shown_", "user_shown"))}
        return replace(found, statistics=told)
    heads = impressions.heads
    user = _codes(heads.user, log.user.values)
    if heads.session_id is not None:
        if log.session is None:
            raise SettingsError(
                "impressions name sessions, and the log has none: say --session, or leave out "
                "--impression-session"
            )
        named = _codes(heads.session_id, log.session.values)
        heads = replace(heads, session=numbers_in_log(user, named, log, session))
    if not options.ordered_sessions:
        heads = replace(heads, time=at_session_begins(heads.time, user, log, session))
    impressions = replace(impressions, heads=heads).by_time()
    counted = options.impressions.counted
    counted = ("click",) if counted is None else counted
    return beside_log(impressions, log, role, options.split, options.session_gap_s, counted)


def beside_log(
    impressions: Impressions,
    log: Log,
    role: np.ndarray,
    split: Split,
    gap_s: int,
    counted: Sequence[str],
) -> ImpressionTable:
    """Returns impressions with what their log says of them.

    Args:
        impressions: by time.
        log: E cleaned events, in order of users and times.
        role: [E] of the events.
        split: that gave them.
        gap_s: seconds without an event that end a session.
        counted: names of labels that count in statistics.

    Raises:
        DataError: no item that was shown is in the log.
    """
    heads = impressions.heads
    item, user = _codes(impressions.item, log.item.values), _codes(heads.user, log.user.values)
    if (item >= len(log.item.values)).all():
        raise DataError(
            f"none of the {len(impressions.item.values):,} items shown is in the log: it has ids such as "
            f"{log.item.values[0]!r}, impressions such as {impressions.item.values[0]!r}. Name the column of "
            "shown items with --shown, or with --item where there is one a row."
        )
    time, shown_to = (values[impressions.of_candidate] for values in (heads.time, user))
    types = {name: log.event.codes == code for code, name in enumerate(log.event.values)}
    events = {str(name): Stream(log.item.codes[of], log.time[of]) for name, of in types.items()}
    items = int(max(item.max(), log.item.codes.max())) + 1
    labelled = {
        name: Stream(item[has > 0], time[has > 0])
        for name, has in impressions.labels.items()
        if name in counted
    }
    had = log.user.codes.astype(np.int64) * items + log.item.codes
    pair, pair_had = _numbered(shown_to * items + item, had)
    given = heads.role
    return ImpressionTable(
        impressions=impressions,
        item=item,
        role=given if given is not None else _roles(user, heads.time, log, role, split, gap_s),
        statistics=item_statistics(events, Stream(item, time), labelled, item, time)
        | pair_statistics(Stream(pair_had, log.time), Stream(pair, time), pair, time),
    )


def _codes(column: Column, known: pd.Index) -> np.ndarray:
    """[N] int64 places of a column's values among known ones; numbers beyond them for the others."""
    values = column.values
    if values.dtype != known.dtype:
        values, known = values.astype(str), known.astype(str)
    place = known.get_indexer(values).astype(np.int64)
    new = place < 0
    place[new] = len(known) + np.arange(new.sum())
    return place[column.codes]


def _numbered(*parts: np.ndarray) -> list[np.ndarray]:
    """The same numbers counted from 0: those of all pairs would leave no room for seconds beside them."""
    number = np.unique(np.concatenate(parts), return_inverse=True)[1]
    return np.split(number, np.cumsum([len(part) for part in parts])[:-1])


def _roles(
    user: np.ndarray, time: np.ndarray, log: Log, role: np.ndarray, split: Split, gap_s: int
) -> np.ndarray:
    """[I] int8: what is shown in a session with val or test events, or after it, is of their role.

    A session begins with what is shown before its first event: a session's gap before that, its role begins.
    """
    found = np.full(len(time), TRAIN, np.int8)
    users = int(max(user.max(initial=0), log.user.codes.max())) + 1
    for later in (VAL, TEST):
        begin = np.full(users, np.iinfo(np.int64).max)
        np.minimum.at(begin, log.user.codes[role == later], log.time[role == later])
        if split == "global_time":
            begin[:] = begin.min()
        found[time >= begin[user] - gap_s] = later
    return found
