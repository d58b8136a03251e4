"""A tiny real SavedModel whose answers can be worked out by hand, and servers that serve it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.synthetic import CatalogueModule, Tensors, save_version
from serving.server import Server, ServerSettings, running

INT_IDS = [101, 102, 103, 104, 105, 106]
STRING_IDS = ["apple", "bread", "crème", "dates", "eggs", "figs"]

MAX_LENGTH = 4
K = 5


class Counting(CatalogueModule):
    """An item's score is how much the sequence holds of it, and a little less for later items.

    The event `view` weighs 1, `purchase` 2, any other 1; within an hour before the request 0.5 more;
    in the request's session 0.25 more; and its price, where events have one.
    """

    def __init__(self, ids: Sequence[int] | Sequence[str], version: int, **options: Any) -> None:
        table = np.concatenate([np.eye(len(ids)), -0.0625 * np.arange(len(ids))[:, None]], axis=1)
        super().__init__(ids, table, version=version, max_length=MAX_LENGTH, k=K, **options)

    def query(self, inputs: Tensors) -> tf.Tensor:
        weight = 1.0 + tf.cast(inputs["event_type"] == "purchase", tf.float32)
        recent = inputs["request_time"][:, None] - inputs["time"] <= 3600
        weight += 0.5 * tf.cast(recent, tf.float32)
        if self.session_ids:
            same = inputs["session_id"] == inputs["request_session_id"][:, None]
            weight += 0.25 * tf.cast(same, tf.float32)
        if "price" in self.context:
            weight += inputs["context.price"]
        weight = tf.where(self.counted(inputs), weight, 0.0)
        items = tf.one_hot(self.rows.lookup(inputs["item_id"]), len(self.ids))
        amounts = tf.einsum("bl,bln->bn", weight, items)
        return tf.concat([amounts, tf.ones_like(amounts[:, :1])], axis=1)


def write_tiny(
    folder: Path, version: int, ids: Sequence[int] | Sequence[str] = tuple(INT_IDS), **options: Any
) -> Path:
    """Writes `folder/<version>/`."""
    return save_version(Counting(list(ids), version, **options), folder)


@pytest.fixture(scope="session")
def write_version() -> Callable[..., Path]:
    """`write_version(folder, version, ids=…, session_ids=…, context=…)`."""
    return write_tiny


@pytest.fixture(scope="session")
def int_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 with integer ids, nothing optional."""
    folder = tmp_path_factory.mktemp("servables") / "tiny"
    write_tiny(folder, 1)
    return folder


@pytest.fixture(scope="session")
def string_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 with string ids, session ids, and a context column of each kind."""
    folder = tmp_path_factory.mktemp("servables") / "rich"
    write_tiny(
        folder,
        1,
        STRING_IDS,
        session_ids=True,
        context={"price": "numeric", "store": "categorical"},
    )
    return folder


@pytest.fixture(scope="session")
def int_server(int_folder: Path) -> Iterator[Server]:
    with running(ServerSettings(int_folder, port=0)) as server:
        yield server


@pytest.fixture(scope="session")
def string_server(string_folder: Path) -> Iterator[Server]:
    with running(ServerSettings(string_folder, port=0)) as server:
        yield server
