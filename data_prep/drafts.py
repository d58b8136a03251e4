"""A log, or a piece of it, before it is known what its columns are; and what those of the whole log are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from data_prep.columns import column, flat, reading
from data_prep.log import Column
from data_prep.options import PrepareOptions
from data_prep.times import RawTimes, TimeFacts, TimeForm, Times, time_form
from data_prep.values import Numbers, RawIds, numbers_of, raw_ids


@dataclass(frozen=True)
class LogFacts:
    """What a piece of a log tells of the columns of the whole.

    Attributes:
        ids: whether a column of ids holds integers alone.
        times: of the times.
        context: whether a context column holds numbers alone, where that is to be found out.
    """

    ids: Mapping[str, Numbers]
    times: TimeFacts
    context: Mapping[str, Numbers]


@dataclass(frozen=True)
class Forms:
    """What the columns of a log are.

    Attributes:
        integers: for each column of ids; else it is text.
        times: how they are read.
        context: the kind of each context column, `numeric` or `categorical`.
    """

    integers: Mapping[str, bool]
    times: TimeForm
    context: Mapping[str, str]


def forms_of(parts: Sequence[LogFacts], options: PrepareOptions) -> Forms:
    """Returns what the columns of a log are, by the facts of all its pieces."""
    first = parts[0]
    found = {name: Numbers.together(part.context[name] for part in parts) for name in first.context}
    return Forms(
        integers={name: bool(Numbers.together(part.ids[name] for part in parts)) for name in first.ids},
        times=time_form([part.times for part in parts], options.time_unit, has_clock=options.has_clock),
        context={
            name: ("numeric" if found[name] else "categorical") if name in found else kind
            for name, kind in options.context.items()
        },
    )


class Draft:
    """The columns of a table of events, read as far as they tell the same in every piece of a log.

    Args:
        table: rows, in the columns that the options name.
        options: which they are.

    Raises:
        DataError: a column is of a type that it cannot have.
    """

    def __init__(self, table: pa.Table, options: PrepareOptions) -> None:
        self._table, self._options = table, options
        names = dict.fromkeys([options.user, options.item, *([options.session] if options.session else [])])
        self._ids = {name: column(table, name, raw_ids) for name in names}
        self._times = RawTimes(flat(table, options.time))

    def facts(self) -> LogFacts:
        """Returns what this piece tells of the whole log.

        Raises:
            DataError: a column is of a type that it cannot have.
        """
        options = self._options
        with reading(options.time, self._table[options.time].type):
            times = self._times.facts(options.time_unit, has_clock=options.has_clock)
        return LogFacts(
            ids={name: raw.integers() for name, raw in self._ids.items()},
            times=times,
            context={
                name: column(self._table, name, numbers_of)
                for name, kind in options.context.items()
                if kind == "auto"
            },
        )

    def sample(self, name: str, count: int) -> RawIds:
        """Returns about so many ids of a column, spread over its rows."""
        return self._ids[name].some(count)

    def ids(self, name: str, forms: Forms) -> Column:
        """Returns a column of ids."""
        return self._ids[name].column(integers=forms.integers[name])

    def times(self, forms: Forms) -> Times:
        """Returns the times.

        Raises:
            DataError: the column is of a type that holds none.
        """
        with reading(self._options.time, self._table[self._options.time].type):
            return self._times.read(forms.times)
