"""What a client asks with: the events of one user, as plain values."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.values import wrong
from tfrec.errors import DataError
from tfrec.schema import IdType


@dataclass(frozen=True, slots=True)
class Event:
    """One action of the user on one item.

    Attributes:
        item: raw id, an int or a str as the log has them.
        time: a datetime, text in ISO 8601, or unix seconds; UTC where no zone is given.
        event_type: the log's own name; without one the type counts as unknown, unless the log has just one.
        session: raw session id, where the servable's sessions come from the log's own ids.
        context: values of the context columns; None for a number that is not known.
    """

    item: int | str
    time: Any = None
    event_type: str | None = None
    session: int | str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


EventLike = Event | Mapping[str, Any] | int | str
"""An event, the same as a mapping with its names for keys, or the item's id alone."""


Statistics = Mapping[int | str, Mapping[str, float | None]]
"""Item's id -> what is known of it."""


@dataclass(frozen=True, slots=True)
class Query:
    """One user's question.

    Attributes:
        events: oldest first.
        exclude: ids that the answer leaves out.
        request_time: when the answer is wanted; now by default.
        session: id of the session that the request belongs to, where the servable takes session ids.
        allow: the only ids that may be answered; none: all.
        context: of the request (device, place), where the servable ranks by it.
        statistics: by item's id what is known of candidates at `request_time`, by name; what is left out
            counts as unknown.
        filters: by feature of items, the values of which an answer must have one.
    """

    events: Sequence[EventLike] = ()
    exclude: Iterable[int | str] = ()
    request_time: Any = None
    session: int | str | None = None
    allow: Iterable[int | str] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    statistics: Statistics = field(default_factory=dict)
    filters: Mapping[str, Iterable[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, path: str = "") -> "Query":
        """A query from a query, a mapping with its names for keys, or the events alone.

        Raises:
            DataError: it is none of these, or has an unknown key.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            return cls(**_checked(value, cls, path))
        return cls(events_of(value, path))


def events_of(value: Any, path: str) -> Sequence[EventLike]:
    """Checks that a value is a sequence of events, not one event or text.

    Raises:
        DataError: it is not.
    """
    if isinstance(value, str | bytes | Mapping | Event) or not isinstance(value, Iterable):
        raise wrong(path or "events", "a list of events", value)
    return value if isinstance(value, Sequence) else list(value)


def ids_of(value: Any, path: str) -> Iterable[int | str]:
    """Checks that a value is a collection of ids, not one id.

    Raises:
        DataError: it is not.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise wrong(path, "a list of ids", value)
    return value


def statistics_by_id(statistics: Any, id_type: IdType, path: str) -> Any:
    """Statistics out of JSON, whose keys are all text, by ids as the model has them.

    Raises:
        DataError: a key is no integer, where the model's ids are.
    """
    if id_type == "string" or not isinstance(statistics, Mapping):
        return statistics
    try:
        return {int(item): values for item, values in statistics.items()}
    except ValueError:
        raise DataError(
            f"{path}: the model's ids are integers, found {', '.join(map(repr, statistics))}."
        ) from None


def event_of(value: EventLike, path: str) -> Event:
    """An event from a mapping or an id.

    Raises:
        DataError: a mapping has an unknown key, or no item.
    """
    if isinstance(value, Event):
        return value
    if not isinstance(value, Mapping):
        return Event(value)
    values = _checked(value, Event, path)
    if "item" not in values:
        raise DataError(f"{path}.item: missing; every event has one")
    event = Event(**values)
    if not isinstance(event.context, Mapping):
        raise wrong(f"{path}.context", "a mapping of column to value", event.context)
    return event


def _checked(value: Mapping[str, Any], kind: type, path: str) -> dict[str, Any]:
    """The mapping, whose keys must be the names of the dataclass's fields."""
    known = [known.name for known in dataclasses.fields(kind)]
    for key in value:
        if key not in known:
            raise unknown_name(f"{path}.{key}" if path else str(key), str(key), known)
    return dict(value)


def unknown_name(path: str, name: str, known: Sequence[str]) -> DataError:
    """The error for a name that is not known, with the nearest one that is."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return DataError(f"{path}: unknown; expected one of {', '.join(known) or 'none'}{hint}")
