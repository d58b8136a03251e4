from pathlib import Path
from typing import Any

import pytest

from serving.settings import BatchSettings, ServerSettings
from tfrec.errors import SettingsError


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (BatchSettings, "max_batch_size", 0),
        (BatchSettings, "max_batch_events", 0),
        (BatchSettings, "batch_timeout_us", -1),
        (BatchSettings, "max_enqueued", 0),
        (BatchSettings, "workers", 0),
        (ServerSettings, "port", -1),
        (ServerSettings, "poll_interval_s", 0),
        (ServerSettings, "drain_s", -1),
        (ServerSettings, "max_message_mb", 0),
        (ServerSettings, "intra_op_threads", -1),
    ],
)
def test_what_is_out_of_range_is_named(kind: Any, name: str, value: int) -> None:
    given = {name: value} if kind is BatchSettings else {"folder": Path("tiny"), name: value}
    with pytest.raises(SettingsError, match=f"{name}: expected at least .*, found {value}"):
        kind(**given)


def test_the_name_of_the_model_is_the_folders() -> None:
    assert ServerSettings(Path("servables/shop")).model_name == "shop"
    assert ServerSettings(Path("servables/shop"), name="other").model_name == "other"


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (3, 4), (5, 8), (33, 48), (48, 48)])
def test_batches_are_filled_up_to_few_sizes(rows: int, size: int) -> None:
    assert BatchSettings(max_batch_size=48).allowed_size(rows) == size


@pytest.mark.parametrize(("waiting", "taken"), [(1, 1), (5, 4), (6, 8), (20, 16), (24, 32), (500, 64)])
def test_no_more_than_a_quarter_is_wasted(waiting: int, taken: int) -> None:
    assert BatchSettings(max_batch_size=64).batch_size(waiting) == taken


@pytest.mark.parametrize(("events", "users"), [(0, 16), (32, 16), (128, 16), (256, 8), (512, 4), (4096, 1)])
def test_batches_of_long_sequences_are_of_fewer_users(events: int, users: int) -> None:
    found = BatchSettings().for_events(events)
    assert found == BatchSettings(max_batch_size=users)
