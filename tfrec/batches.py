"""Sequences as the packed rows that the query tower reads."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfrec.packing import pack, ranges
from tfrec.schema import PADDING_ROW
from tfrec.sequences import Sequences

SECONDS_A_WEEK = 7 * 86400
MONDAY = 4 * 86400
"""The first Monday of unix time, from which weeks are counted."""


@dataclass(frozen=True)
class Rows:
    """R packed rows of P places. Each window of events is preceded by a start that stands for no event.

    Attributes:
        inputs: tensors of the query tower by name, [R, P]; `segment` is the window's number + 1.
        item: [R, P] int32, the item of each place's next event; PADDING_ROW where there is none.
        position: [R, P] int64, place of that next event in the flat arrays; -1 where there is none.
    """

    inputs: Mapping[str, np.ndarray]
    item: np.ndarray
    position: np.ndarray


def pack_windows(sequences: Sequences, start: np.ndarray, stop: np.ndarray, row_length: int) -> Rows:
    """Packs windows of events, each with its start, into rows.

    The window's last event has no next one inside it: it is a target only, and takes no place.

    Args:
        sequences: the events.
        start, stop: [W] windows in the flat arrays, none empty, none longer than `row_length`.
        row_length: P.
    """
    lengths = stop - start
    row, place = pack(lengths, row_length)
    shape = (int(row.max()) + 1 if len(row) else 0, row_length)
    # A window's places: its start, then all its events but the last.
    window = np.repeat(np.arange(len(start)), lengths)
    source = ranges(start, stop)
    at = row[window] * row_length + place[window] + source - start[window]
    is_start = source == start[window]
    before = np.where(is_start, source, source - 1)

    def spread(values: np.ndarray, dtype: type, fill: int = 0) -> np.ndarray:
        flat: np.ndarray = np.full(shape[0] * row_length, fill, dtype)
        flat[at] = values
        return flat.reshape(shape)

    base = week_before(sequences.time[start])[window]
    session = sequences.session[before] - is_start
    inputs = {
        "item": spread(np.where(is_start, PADDING_ROW, sequences.item[before]), np.int32),
        "event_type": spread(np.where(is_start, PADDING_ROW, sequences.event_type[before]), np.int32),
        "segment": spread(window + 1, np.int32),
        "session": spread(session, np.int32),
        "time": spread(sequences.time[before] - base, np.int32),
        "request_time": spread(sequences.time[source] - base, np.int32),
        "request_session": spread(sequences.session[source], np.int32),
    }
    for name, values in sequences.context.items():
        nothing = np.nan if values.dtype.kind == "f" else PADDING_ROW
        inputs[f"context.{name}"] = spread(np.where(is_start, nothing, values[before]), values.dtype.type)
    return Rows(
        inputs=inputs,
        item=spread(sequences.item[source], np.int32),
        position=spread(source, np.int64, -1),
    )


def week_before(time: np.ndarray) -> np.ndarray:
    """Returns the Monday 0:00 UTC before each time: seconds since then fit 32 bits, and tell the hour."""
    return (time - MONDAY) // SECONDS_A_WEEK * SECONDS_A_WEEK + MONDAY
