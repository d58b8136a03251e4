"""Small datasets, and what is made of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tfrec import datasets
from tfrec.dataset import Dataset


@pytest.fixture(scope="session")
def dataset_of() -> Callable[..., Dataset]:
    """`dataset_of(events, repeats=…, has_clock=…)`, where `events` has the columns of the judge:

    user_id, item_id, timestamp, session_id and role, in order of user and time. Items that are in no
    train event are unknown.
    """
    return datasets.dataset_of


@pytest.fixture(scope="session")
def write_dataset() -> Callable[[Dataset, Path], None]:
    """`write_dataset(dataset, folder)` writes it in as many shards as its schema says."""
    return datasets.write_dataset


@pytest.fixture(scope="session")
def rich_dataset() -> Callable[..., Dataset]:
    """`rich_dataset(seed=0, users=24, …)`: random shoppers with context, all kinds of features, val, test.

    Further arguments replace facts of the schema (`ordered_sessions=False`).
    """
    return datasets.rich_dataset


@pytest.fixture(scope="module")
def rich_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a written `rich_dataset()`."""
    path = tmp_path_factory.mktemp("rich") / "dataset"
    datasets.write_dataset(datasets.rich_dataset(), path)
    return path
