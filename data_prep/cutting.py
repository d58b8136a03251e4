"""A cleaned log -> sessions, and which events are train, val and test."""

from functools import partial

import numpy as np

from data_prep import sessions, splits
from data_prep.options import PrepareOptions
from data_prep.parts import Part, Work
from tfrec.errors import DataError, SettingsError


def cut(work: Work, options: PrepareOptions, *, has_clock: bool, as_it_is: bool = False) -> None:
    """Sorts the events and cuts them into sessions; drops what repeats inside them, as far as wanted.

    Args:
        work: on the cleaned log.
        options: of sessions.
        has_clock: whether times are clock times.
        as_it_is: the source has sorted the events, and nothing is dropped.
    """
    if not as_it_is:
        work.change(partial(_sorted, options=options))
        if not has_clock:
            work.change(_with_positions)
    work.change(partial(_with_sessions, gap_s=options.session_gap_s))
    if as_it_is:
        return
    if options.once_per_session:
        work.keep("an item again in a session", _first_in_session)
    if options.drop_repeats:
        work.keep("immediate repeats", _not_repeated)
    if not options.ordered_sessions and options.session is None:
        work.change(_shuffled_inside)
    if not has_clock:
        work.change(_with_positions)


def split(work: Work, options: PrepareOptions, *, has_clock: bool) -> None:
    """Gives each event its role.

    Raises:
        SettingsError: the split cuts at a moment, and the log has positions for times.
    """
    end = 0
    if options.split == "global_time":
        if not has_clock:
            raise SettingsError(
                "the split 'global_time' cuts at a moment, but the log has positions for times. Choose "
                "another --split, or say --clock if they are unix seconds."
            )
        end = max(work.look(_last_time)(), default=0)
    work.change(partial(_with_roles, options=options, end=end))


def require_train_events(work: Work, options: PrepareOptions) -> None:
    """Refuses a log of which nothing is left, or nothing to learn from."""
    train, events = work.look(_train_events), work.look(len)
    if not sum(events()):
        raise DataError("no event is left after cleaning. Lower the minimum counts, or look at the log.")
    if not sum(train()):
        raise DataError(
            f"the split {options.split!r} leaves no train event: the log is too short for it. "
            "Choose another --split, or fewer --split-days."
        )


def with_session_times(work: Work) -> None:
    """Gives the events of an unordered session one time."""
    work.change(_with_session_times)


def _sorted(part: Part, options: PrepareOptions) -> Part:
    return Part(sessions.sort_events(part.log, options))


def _with_positions(part: Part) -> Part:
    return Part(sessions.with_positions(part.log), part.session)


def _with_sessions(part: Part, gap_s: int) -> Part:
    return Part(part.log, sessions.number_sessions(part.log, gap_s), part.role)


def _first_in_session(part: Part) -> np.ndarray:
    return sessions.first_in_session(part.log, part.sessions)


def _not_repeated(part: Part) -> np.ndarray:
    return sessions.not_repeated(part.log, part.sessions)


def _shuffled_inside(part: Part) -> Part:
    return Part(sessions.shuffle_inside(part.log, part.sessions), part.session)


def _last_time(part: Part) -> int:
    return int(part.log.time.max(initial=0))


def _with_roles(part: Part, options: PrepareOptions, end: int) -> Part:
    log = part.log
    role = splits.roles(options.split, log.user.codes, part.sessions, log.time, options.split_days, end)
    return Part(log, part.session, role)


def _train_events(part: Part) -> int:
    return int((part.roles == splits.TRAIN).sum()) if len(part) else 0


def _with_session_times(part: Part) -> Part:
    return Part(sessions.with_session_times(part.log, part.sessions), part.session, part.role)
