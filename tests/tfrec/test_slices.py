"""Groups of queries."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from tfrec.dataset import Dataset
from tfrec.slices import HISTORY_SESSIONS, buckets, query_slices


def test_buckets_are_named_after_their_bounds_and_never_empty() -> None:
    values = np.array([0, 1, 2, 3, 4, 7, 15, 16, 400])
    found = {label: values[mask].tolist() for label, mask in buckets(values, HISTORY_SESSIONS).items()}
    assert found == {"0": [0], "1": [1], "2-3": [2, 3], "4-7": [4, 7], "8-15": [15], "16+": [16, 400]}
    assert list(buckets(np.array([5]), HISTORY_SESSIONS)) == ["4-7"]


def test_each_slice_parts_the_queries(dataset_of: Callable[..., Dataset]) -> None:
    sessions = [0, 0, 0, 1, 1, 2]
    events = pd.DataFrame({"user_id": 7, "session_id": sessions, "item_id": range(6), "timestamp": range(6)})
    slices = query_slices(dataset_of(events.assign(role="train")).sequences, np.array([2, 3, 4, 5]))
    found = {name: {label: mask.tolist() for label, mask in masks.items()} for name, masks in slices.items()}
    assert found == {
        "session_event": {"first": [False, True, False, True], "later": [True, False, True, False]},
        "place_in_session": {
            "1": [False, True, False, True],
            "2": [False, False, True, False],
            "3-4": [True, False, False, False],
        },
        "history_sessions": {
            "0": [True, False, False, False],
            "1": [False, True, True, False],
            "2-3": [False, False, False, True],
        },
    }
