import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.values import LATEST_SECONDS, to_category, to_id, to_number, to_seconds
from tfrec.errors import DataError

SECOND = dt.timedelta(seconds=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

moments = st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(3000, 1, 1), timezones=st.timezones())


@given(moments)
def test_a_moment_is_the_same_in_every_form(moment: dt.datetime) -> None:
    seconds = (moment - EPOCH) // SECOND
    assert to_seconds(moment, "time") == seconds
    in_utc = moment.astimezone(dt.UTC)
    assert to_seconds(in_utc.isoformat(), "time") == seconds
    assert to_seconds(in_utc.replace(tzinfo=None), "time") == seconds  # without a zone it is UTC
    assert to_seconds(in_utc.replace(tzinfo=None).isoformat(), "time") == seconds
    assert to_seconds(np.datetime64(in_utc.replace(tzinfo=None), "s"), "time") == seconds
    assert to_seconds(seconds, "time") == seconds
    assert to_seconds(np.int64(seconds), "time") == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2024-05-01", 1_714_521_600),
        ("2024-05-01T12:00Z", 1_714_564_800),
        ("2024-05-01 14:00:00+02:00", 1_714_564_800),
        (1_714_564_800.9, 1_714_564_800),
        (-0.5, -1),
        (np.datetime64("2024-05-01T12:00:00.999"), 1_714_564_800),
        (pd.Timestamp("2024-05-01T14:00", tz="Europe/Berlin"), 1_714_564_800),
        (0, 0),
    ],
)
def test_times(value: Any, seconds: int) -> None:
    found = to_seconds(value, "time")
    assert found == seconds
    assert type(found) is int


@pytest.mark.parametrize(
    "value",
    [
        *("", "1714564800", "noon", None, True, [], dt.date(2024, 5, 1), 1j),
        *(float("nan"), float("inf"), 10**400, LATEST_SECONDS + 1, -LATEST_SECONDS - 1),
        *(np.datetime64("NaT"), pd.NaT),
    ],
)
def test_what_is_no_time(value: Any) -> None:
    with pytest.raises(DataError, match=r"^events\[3\]\.time: expected .+, found "):
        to_seconds(value, "events[3].time")


@given(st.integers(-(2**63), 2**63 - 1))
def test_integer_ids(number: int) -> None:
    assert to_id(number, "int64", "item") == number
    assert to_id(np.int64(number), "int64", "item") == number


@given(st.text())
def test_string_ids(text: str) -> None:
    found = to_id(text, "string", "item")
    assert isinstance(found, bytes)
    assert found.decode() == text


@pytest.mark.parametrize("value", ["7", 7.0, True, None, b"7", np.float32(7), [7], 2**63, -(2**63) - 1])
def test_what_is_no_integer_id(value: Any) -> None:
    with pytest.raises(DataError, match=r"^item: expected an integer"):
        to_id(value, "int64", "item")


@pytest.mark.parametrize("value", [7, None, b"seven", ["7"]])
def test_what_is_no_string_id(value: Any) -> None:
    with pytest.raises(DataError, match=r"^item: expected a string, found"):
        to_id(value, "string", "item")


def test_text_that_no_wire_carries() -> None:
    with pytest.raises(DataError, match=r"^item: expected text that UTF-8 can hold"):
        to_id("\udcff", "string", "item")


def test_categories_are_text_and_whole_numbers_as_a_log_writes_them() -> None:
    assert [to_category(value, "store") for value in ("ñ", 7, np.int32(-7), "")] == [
        "ñ".encode(),
        b"7",
        b"-7",
        b"",
    ]


@pytest.mark.parametrize("value", [1.5, None, True, b"x", []])
def test_what_is_no_category(value: Any) -> None:
    with pytest.raises(DataError, match=r"^store: expected a string, found"):
        to_category(value, "store")


@pytest.mark.parametrize("value", [1, -2.5, np.float32(0.25), np.int8(3)])
def test_numbers(value: Any) -> None:
    assert to_number(value, "price") == float(value)


@pytest.mark.parametrize("value", ["1", None, False, float("nan"), -float("inf"), 10**400, 1j])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(DataError, match=r"^price: expected a finite number, found"):
        to_number(value, "price")


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(DataError) as caught:
        to_id("x" * 1_000_000, "int64", "item")
    assert len(str(caught.value)) < 200
