"""Checkpoints in parts: whole only together, and read by any number of workers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.tfrec.test_training import settings
from tfrec.building import build_model, build_shards, compile_shards, item_tables
from tfrec.checkpoints import RunState
from tfrec.dataset import Dataset
from tfrec.distribution.shard_files import SharedCheckpoints, parts_of
from tfrec.distribution.shards import Shards
from tfrec.distribution.workers import Workers
from tfrec.epochs import Epochs
from tfrec.errors import DataError
from tfrec.model import TwoTowerModel

ASKED = settings("loss.negatives=sampled", "training.average=0.2")


class Alone(Workers):
    """One of several workers, that does not wait for the others."""

    def wait(self) -> None:
        pass


def checkpoints(model: TwoTowerModel, folder: Path, index: int, count: int) -> SharedCheckpoints:
    workers = Alone(index=index, count=count)
    shards = build_shards(model, ASKED, workers)
    compile_shards(shards, ASKED, 3)
    shards.keep_best()
    return SharedCheckpoints(folder, shards, workers)


def numbers(shards: Shards) -> list[np.ndarray]:
    return [variable.numpy() for variable in shards.variables]


@pytest.fixture
def model(rich_dataset: Callable[..., Dataset]) -> TwoTowerModel:
    dataset = rich_dataset()
    return build_model(dataset, ASKED, Epochs(dataset, ASKED), tables_apart=True)


def written(model: TwoTowerModel, folder: Path, count: int) -> list[SharedCheckpoints]:
    """Of the workers' parts, once all have written: the chief, which gives the name, is the last here."""
    state = RunState(epoch=2, best=0.5, best_epoch=1)
    best = [weight.numpy() + 1 for weight in model.weights]
    every = [checkpoints(model, folder, index, count) for index in range(count)]
    every[0].begun(state)
    for number, one in reversed(list(enumerate(every))):
        for place, variable in enumerate(one.shards.variables):
            if len(variable.shape):
                variable.assign(variable.numpy() + place + number / 7)
        one.shards.best = [rows - 1 for rows in one.shards.best]
        assert one.newest() is None
        if number:
            one.save(state, model.weights, best)
    kept = every[0]
    kept.begun = kept.partial  # type: ignore[method-assign]  # the others' files are there already
    kept.save(state, model.weights, best)
    return every


@pytest.mark.parametrize("count", [1, 2, 3])
def test_another_number_of_workers_reads_them(model: TwoTowerModel, tmp_path: Path, count: int) -> None:
    before = written(model, tmp_path, 2)
    readers = [checkpoints(model, tmp_path, index, count) for index in range(count)]
    for reader in readers:
        found = reader.load(model.weights)
        assert found is not None
        assert found[0].epoch == 2
    for place, _ in enumerate(before[0].shards.variables):
        ours, theirs = ([numbers(one.shards)[place] for one in some] for some in (readers, before))
        if theirs[0].ndim:
            np.testing.assert_array_equal(np.concatenate(ours), np.concatenate(theirs))
        else:
            assert {float(number) for number in ours} == {float(theirs[0])}
    for place in range(len(before[0].shards.weights)):
        ours, theirs = (
            np.concatenate([one.shards.best[place] for one in some]) for some in (readers, before)
        )
        np.testing.assert_array_equal(ours, theirs)


def test_the_best_rows_become_a_whole_model(
    model: TwoTowerModel, rich_dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    every = written(model, tmp_path, 2)
    dataset = rich_dataset()
    plain = build_model(dataset, ASKED, Epochs(dataset, ASKED))
    best = [weight.numpy() * 3 for weight in model.weights]
    every[0].give_best(plain, best)
    for place, table in enumerate(item_tables(plain)):
        np.testing.assert_array_equal(table, np.concatenate([one.shards.best[place] for one in every]))
    others = [weight for weight in plain.weights if all(weight is not table for table in item_tables(plain))]
    for weight, expected in zip(others, best, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_rows_that_cannot_be_read_are_named(model: TwoTowerModel, tmp_path: Path) -> None:
    (chief, _) = written(model, tmp_path, 2)
    path = chief.newest()
    assert path is not None
    assert [begin for begin, _ in parts_of(path, "now_0")] == [0, chief.shards.end]
    next(path.glob("rows-*.npz")).write_bytes(b"torn")
    with pytest.raises(DataError, match=r"rows of the checkpoint .*epoch-0002 cannot be read.*--restart"):
        chief.load(model.weights)
