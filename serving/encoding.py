"""Queries -> the input tensors of a signature; what the signature does not take is an error, not dropped."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from serving.queries import Event, Query, event_of, events_of, ids_of, unknown_name
from serving.signatures import Signature
from serving.tensors import Array, array_dtype
from serving.values import to_category, to_id, to_number, to_seconds
from tfrec.errors import DataError
from tfrec.servable import no_item

CONTEXT = "context."

Convert = Callable[[Event, str], Any]


def sequence_inputs(
    queries: Sequence[Query], paths: Sequence[str], signature: Signature, *, clock: bool, now: int
) -> dict[str, Array]:
    """The sequence inputs of a signature, as `tfrec.servable` lists them.

    Args:
        queries: B of them.
        paths: what errors call each query; "" for an only one.
        signature: what the server takes.
        clock: whether times are clock times; else they are positions, counted from 0.
        now: unix seconds, for queries without a request time.

    Raises:
        DataError: a field is missing, of the wrong type, or not taken.
    """
    convert = _conversions(signature)
    wide: dict[str, list[list[Any]]] = {name: [] for name in [*convert, "time"]}
    flat: dict[str, list[Any]] = {"length": [], "request_time": []}
    if "request_session_id" in signature.inputs:
        flat["request_session_id"] = []
    for query, path in zip(queries, paths, strict=True):
        start = f"{path}." if path else ""
        given = enumerate(events_of(query.events, f"{start}events"))
        events = [(event_of(value, at), at) for place, value in given if (at := f"{start}events[{place}]")]
        for event, at in events:
            _check_taken(event, at, signature)
        for name, column in convert.items():
            wide[name].append([column(event, at) for event, at in events])
        times = _times(events)
        positions = len(events) if not times else times[-1] + 1
        request_time = _request_time(query, times, start, now if clock else positions)
        if not times:
            times = [request_time] * len(events) if clock else list(range(len(events)))
        wide["time"].append(times)
        flat["length"].append(len(events))
        flat["request_time"].append(request_time)
        session = _request_session(query, bool(events), start, signature)
        if session is not None:
            flat["request_session_id"].append(session)
    return {
        **{name: padded(rows, signature.inputs[name].dtype) for name, rows in wide.items()},
        **{name: np.array(row, array_dtype(signature.inputs[name].dtype)) for name, row in flat.items()},
    }


def id_inputs(
    name: str, lists: Sequence[Iterable[Any]], paths: Sequence[str], signature: Signature
) -> dict[str, Array]:
    """An input of ids beside the sequence, filled up with the id of no item.

    Raises:
        DataError: an id is of the wrong type.
    """
    dtype = signature.inputs[name].dtype
    rows = []
    for values, path in zip(lists, paths, strict=True):
        ids = enumerate(ids_of(values, path))
        rows.append([to_id(value, dtype, f"{path}[{place}]") for place, value in ids])
    return {name: padded(rows, dtype, no_id(dtype), least=0)}


def _conversions(signature: Signature) -> dict[str, Convert]:
    """Input: how to get its value from an event."""
    types = {name: spec.dtype for name, spec in signature.inputs.items()}
    found: dict[str, Convert] = {
        "item_id": lambda event, at: to_id(event.item, types["item_id"], f"{at}.item"),
        # The empty text stands for an unknown type, or for the only one that the log has.
        "event_type": lambda event, at: to_category(
            "" if event.event_type is None else event.event_type, f"{at}.event_type"
        ),
    }
    if "session_id" in types:
        found["session_id"] = lambda event, at: _session(event.session, types["session_id"], at)
    for name in types:
        if name.startswith(CONTEXT):
            found[name] = _context_conversion(name.removeprefix(CONTEXT), types[name])
    return found


def _context_conversion(column: str, dtype: str) -> Convert:
    def convert(event: Event, at: str) -> Any:
        path = f"{at}.context.{column}"
        if dtype == "string":
            return to_category(event.context.get(column, ""), path)
        if column not in event.context:
            raise DataError(
                f"{path}: missing; the servable needs this number for every event, None where it is not known"
            )
        value = event.context[column]
        return np.nan if value is None else to_number(value, path)

    return convert


def _session(value: Any, dtype: str, at: str) -> int | bytes:
    if value is None:
        raise DataError(f"{at}.session: missing; the servable's sessions come from the log's own ids")
    return to_id(value, dtype, f"{at}.session")


def _check_taken(event: Event, at: str, signature: Signature) -> None:
    """What the servable would not see is refused."""
    if event.session is not None and "session_id" not in signature.inputs:
        raise _no_sessions(f"{at}.session")
    known = [name.removeprefix(CONTEXT) for name in signature.inputs if name.startswith(CONTEXT)]
    for column in event.context:
        if column not in known:
            raise unknown_name(f"{at}.context.{column}", str(column), known)


def _times(events: Sequence[tuple[Event, str]]) -> list[int]:
    """The times that the events have: all of them or none."""
    with_time = [at for event, at in events if event.time is not None]
    times: list[int] = []
    for event, at in events if with_time else ():
        path = f"{at}.time"
        if event.time is None:
            raise DataError(
                f"{path}: missing, while {with_time[0]} has one; give every event a time (a datetime, a "
                "time in ISO 8601 or unix seconds), or none"
            )
        time = to_seconds(event.time, path)
        if times and time < times[-1]:
            raise DataError(f"{path}: earlier than the event before; events come oldest first")
        times.append(time)
    return times


def _request_time(query: Query, times: Sequence[int], start: str, otherwise: int) -> int:
    """The query's own; else `otherwise`, or the last event's where the clocks of two machines differ."""
    if query.request_time is None:
        return max(otherwise, times[-1]) if times else otherwise
    path = f"{start}request_time"
    request_time = to_seconds(query.request_time, path)
    if times and request_time < times[-1]:
        raise DataError(f"{path}: earlier than the last event, {times[-1] - request_time} seconds before it")
    return request_time


def _request_session(query: Query, history: bool, start: str, signature: Signature) -> int | bytes | None:
    path = f"{start}session"
    if "request_session_id" not in signature.inputs:
        if query.session is not None:
            raise _no_sessions(path)
        return None
    dtype = signature.inputs["request_session_id"].dtype
    if query.session is None and not history:
        # The first visit of somebody: there is no session to tell it from.
        return no_id(dtype)
    if query.session is None:
        raise DataError(
            f"{path}: missing; name the last event's session to go on with it, or a new id for a new visit"
        )
    return to_id(query.session, dtype, path)


def no_id(dtype: str) -> int | bytes:
    """What is no id of the log, as `tfrec.servable.no_item` has it."""
    return b"" if dtype == "string" else int(no_item("int64"))


def _no_sessions(path: str) -> DataError:
    return DataError(f"{path}: not taken; this servable finds sessions by the gaps in time. Leave it out")


def padded(rows: Sequence[Sequence[Any]], dtype: str, padding: Any = None, least: int = 1) -> Array:
    """Rows of unlike length as one array, each left-aligned and filled up; by default with 0 or ""."""
    width = max([least, *(len(row) for row in rows)])
    nothing = b"" if dtype == "string" else 0
    array = np.full((len(rows), width), nothing if padding is None else padding, array_dtype(dtype))
    for place, row in enumerate(rows):
        array[place, : len(row)] = row
    return array
