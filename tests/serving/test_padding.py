"""What the batch holds, worked out from the requests alone; that answers are equal is in test_batching."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import padding
from serving.loading import load_servable
from serving.signatures import Signature, TensorSpec

MAX_LENGTH = 4


@pytest.fixture(scope="module")
def signatures(int_folder: Path) -> dict[str, Signature]:
    return dict(load_servable(int_folder / "1").signatures)


@st.composite
def request(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Inputs of `recommend`: 1 to 3 users, 1 to 6 events, 0 to 10 ids to leave out."""
    users, events = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    excluded = draw(st.integers(0, 10))

    def ids(*shape: int) -> np.ndarray:
        size = int(np.prod(shape))
        values = draw(st.lists(st.integers(-(2**62), 2**62), min_size=size, max_size=size))
        return np.array(values, np.int64).reshape(shape)

    lengths = draw(st.lists(st.integers(0, events), min_size=users, max_size=users))
    return {
        "item_id": ids(users, events),
        "time": ids(users, events),
        "event_type": np.full((users, events), b"view", object),
        "length": np.array(lengths, np.int32),
        "request_time": ids(users),
        "exclude_item_id": ids(users, excluded),
        "allow_item_id": ids(users, draw(st.integers(0, 10))),
    }


def counted(inputs: dict[str, np.ndarray], row: int, newest: int = 1000) -> list[Any]:
    """The events of a row that count."""
    length = inputs["length"][row]
    events = zip(inputs["item_id"][row, :length], inputs["time"][row, :length], strict=True)
    return list(events)[-newest:]


def rows_of(requests: Sequence[dict[str, np.ndarray]]) -> list[tuple[dict[str, np.ndarray], int]]:
    return [(inputs, row) for inputs in requests for row in range(len(inputs["length"]))]


@given(requests=st.lists(request(), min_size=1, max_size=4), spare=st.integers(0, 3))
def test_a_batch_holds_the_events_and_leaves_out_nothing_more(
    signatures: dict[str, Signature], requests: list[dict[str, np.ndarray]], spare: int
) -> None:
    rows = rows_of(requests)
    batch = padding.merge(requests, signatures["recommend"], len(rows) + spare)
    assert {len(array) for array in batch.values()} == {len(rows) + spare}
    for place, (inputs, row) in enumerate(rows):
        assert counted(batch, place) == counted(inputs, row)
        assert batch["request_time"][place] == inputs["request_time"][row]
        for name in ("exclude_item_id", "allow_item_id"):
            assert set(batch[name][place]) - set(inputs[name][row]) <= {padding.NO_INTEGER_ID}


def test_short_sequences_are_not_computed_as_long_ones(
    signatures: dict[str, Signature], sequences: Any
) -> None:
    def key(events: int) -> tuple[int, ...]:
        return padding.batch_key(sequences([[101] * events]), signatures["recommend"], 255)

    assert key(1) == key(32)
    assert key(200) == key(255) != key(32) != key(33) == key(64)
    assert key(300) != key(255)


@given(inputs=request())
def test_the_newest_events_are_kept(signatures: dict[str, Signature], inputs: dict[str, np.ndarray]) -> None:
    clipped = padding.clip_sequences(inputs, signatures["recommend"], MAX_LENGTH)
    assert clipped["item_id"].shape[1] <= MAX_LENGTH
    for row in range(len(inputs["length"])):
        assert counted(clipped, row) == counted(inputs, row, MAX_LENGTH)


def test_outputs_of_events_keep_their_width(signatures: dict[str, Signature], sequences: Any) -> None:
    inputs = sequences([[101] * 9], lists=False)
    assert padding.clip_sequences(inputs, signatures["encode"], MAX_LENGTH)["item_id"].shape == (1, 9)


@given(inputs=request(), size=st.integers(1, 4))
def test_pieces_make_up_the_request(inputs: dict[str, np.ndarray], size: int) -> None:
    pieces = padding.cut(inputs, size)
    assert all(1 <= len(piece["length"]) <= size for piece in pieces)
    joined = padding.join(pieces)
    for name, array in inputs.items():
        np.testing.assert_array_equal(joined[name], array)


def test_states_of_events_are_laid_side_by_side() -> None:
    tensors = {"event_state": (None, None, 3), "length": (None,), "state": (None, 2)}
    signature = Signature(
        "rank_encoded", {name: TensorSpec("float32", shape) for name, shape in tensors.items()}, {}
    )
    random = np.random.default_rng(0)
    requests = [
        {
            "event_state": random.normal(size=(1, events, 3)).astype(np.float32),
            "length": np.ones(1, np.float32),
            "state": random.normal(size=(1, 2)).astype(np.float32),
        }
        for events in (2, 5)
    ]
    merged = padding.merge(requests, signature, 2)
    assert merged["event_state"].shape == (2, 5, 3)
    np.testing.assert_array_equal(merged["event_state"][0, :2], requests[0]["event_state"][0])
    assert not merged["event_state"][0, 2:].any()
    np.testing.assert_array_equal(merged["state"], np.concatenate([one["state"] for one in requests]))
    # Too many, as of an encoder without a limit: the newest count.
    clipped = padding.clip_sequences(requests[1] | {"length": np.int32([5])}, signature, 4)
    np.testing.assert_array_equal(clipped["event_state"], requests[1]["event_state"][:, 1:])
