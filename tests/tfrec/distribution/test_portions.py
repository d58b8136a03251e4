"""A log in parts: each user's events are with one worker, and what is counted is counted in all of them."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.tfrec.datasets import write_dataset
from tests.tfrec.test_training import settings
from tfrec.dataset import Dataset
from tfrec.distribution.portions import read_portions
from tfrec.distribution.summing import Alone, Together
from tfrec.distribution.workers import Workers
from tfrec.epochs import Epochs
from tfrec.errors import DataError
from tfrec.rules import count_rules
from tfrec.schema import SEQUENCES_FOLDER
from tfrec.validation import validation_positions

FEW = settings("training.validation_users=7", "training.rows=6", "loss.uniform=5")


class InThreads(Workers):
    """Workers that are threads of a process."""

    def __init__(self, index: int, barrier: threading.Barrier, given: list[np.ndarray | None]) -> None:
        super().__init__(index=index, count=len(given))
        self.barrier = barrier
        self.given = given

    def sum(self, values: np.ndarray) -> np.ndarray:
        self.given[self.index] = values
        self.barrier.wait()
        total = np.sum(self.given, axis=0)
        self.barrier.wait()
        return total


def in_threads(count: int, work: Callable[[Workers], object]) -> list[object]:
    # Workers that do not all come to the same sums fail, and wait for nobody.
    barrier, given = threading.Barrier(count, timeout=60), [None] * count
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda index: work(InThreads(index, barrier, given)), range(count)))


@pytest.fixture(scope="module", params=[1, 5])
def folder(
    request: pytest.FixtureRequest,
    rich_dataset: Callable[..., Dataset],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Of a dataset in one file, and in several."""
    path = tmp_path_factory.mktemp("parts") / "dataset"
    write_dataset(rich_dataset(shards=request.param), path)
    return path


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_every_user_is_with_one_worker(folder: Path, count: int) -> None:
    whole = Dataset.load(folder)
    portions = [read_portions(folder, FEW, index, count) for index in range(count)]
    own = [portion.own.sequences for portion in portions]
    np.testing.assert_array_equal(np.concatenate([part.user_id for part in own]), whole.sequences.user_id)
    for name in ("event_id", "item", "session", "time", "role"):
        parts = np.concatenate([getattr(part, name) for part in own])
        np.testing.assert_array_equal(parts, getattr(whole.sequences, name))
    if count < 4:  # events are shared evenly, but for a user
        share, longest = len(whole.sequences.item) / count, np.diff(whole.sequences.offsets).max()
        assert all(abs(len(part.item) - share) <= longest for part in own)
    expected = whole.sequences.event_id[validation_positions(whole, FEW)]
    for portion in portions:
        at = validation_positions(portion.asked, FEW)
        np.testing.assert_array_equal(portion.asked.sequences.event_id[at], expected)
        if count > 1:
            assert portion.asked.sequences.users == 7


def test_what_is_counted_is_counted_in_all(folder: Path) -> None:
    whole = Epochs(Dataset.load(folder), FEW)
    size, count = whole.items, 3
    rules, _ = count_rules(whole.sequences, size, 4, 2, ordered=True)

    def work(workers: Workers) -> Epochs:
        others = Together(workers)
        own, _ = read_portions(folder, FEW, workers.index, workers.count)
        epochs = Epochs(own, FEW, others=others)
        np.testing.assert_array_equal(epochs.target_share(), whole.target_share())
        assert epochs.latest == whole.latest
        ours, without = count_rules(epochs.sequences, size, 4, 2, ordered=True, others=others)
        for found, expected in zip(ours, rules, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert (without.total <= ours.total[None] + 1e-4).all()
        return epochs

    parts = in_threads(count, work)
    assert len({epochs.steps for epochs in parts}) == 1
    batches = [list(epochs.batches(1, [index], count)) for index, epochs in enumerate(parts)]
    shapes = {tuple(batch[0]["item"].shape) for part in batches for batch in part}
    assert shapes == {(2, FEW.row_length)}
    targets = np.concatenate([batch[1]["item"].ravel() for part in batches for batch in part])
    expected = np.concatenate([batch[1]["item"].ravel() for batch in whole.batches(1)])
    # Cut anew in each epoch, an event or two of a user more or less are targets.
    np.testing.assert_allclose((targets > 1).sum(), (expected > 1).sum(), rtol=0.2)


def test_each_worker_has_chance_of_its_own(rich_dataset: Callable[..., Dataset]) -> None:
    class Part(Alone):
        def __init__(self, index: int) -> None:
            self.index = index
            self.parts = 2

    # Of the same users, so that nothing else tells the two apart.
    parts = [Epochs(rich_dataset(), FEW, others=Part(index)) for index in range(2)]
    first, second = (next(epochs.batches(1, [index], 2)) for index, epochs in enumerate(parts))
    assert not np.array_equal(first[1]["negatives"], second[1]["negatives"])
    assert not np.array_equal(first[0]["item"], second[0]["item"])


def test_a_file_that_cannot_be_read_is_named(rich_dataset: Callable[..., Dataset], tmp_path: Path) -> None:
    write_dataset(rich_dataset(shards=2), tmp_path / "dataset")
    torn = tmp_path / "dataset" / SEQUENCES_FOLDER / "part-00001.parquet"
    torn.write_bytes(torn.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"part-00001.parquet cannot be read.*Prepare the log again"):
        read_portions(tmp_path / "dataset", FEW, 0, 2)
