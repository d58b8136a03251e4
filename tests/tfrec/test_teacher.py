"""Distillation: the loss by hand, who learns, and what a teacher must be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.tfrec.test_model import model_of, small
from tests.tfrec.test_training import settings
from tfrec.building import build_model, compile_model
from tfrec.dataset import Dataset
from tfrec.distribution.workers import Workers
from tfrec.epochs import Epochs
from tfrec.errors import SettingsError
from tfrec.losses import soft_cross_entropy
from tfrec.model import TwoTowerModel
from tfrec.schema import FIRST_ROW
from tfrec.teacher import Teacher
from tfrec.trained import TrainedModel
from tfrec.training import train
from tfrec.vocabulary import Vocabulary

LARGE = ("model.dimensions=16", "training.epochs=6", "training.patience=6")


@pytest.fixture(scope="module")
def dataset(rich_dataset: Callable[..., Dataset]) -> Dataset:
    return rich_dataset()


@pytest.fixture(scope="module")
def folder(
    dataset: Dataset,
    write_dataset: Callable[[Dataset, Path], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("teacher")
    write_dataset(dataset, path / "dataset")
    train(path / "dataset", path / "teacher", settings(*LARGE), quiet=True)
    return path


def test_the_loss_by_hand() -> None:
    # Three columns: the target, one drawn 4 times on average, and one that takes no part.
    log_m = tf.constant([np.log(9), np.log(4), 1e9], tf.float32)
    loss = soft_cross_entropy(
        tf.constant([[2.0, 1.0, 5.0]]),
        tf.constant([[0.5, 3.0, 7.0]]),
        tf.constant([2.0]),
        y_true=tf.constant([[1.0, 0.0, 0.0]]),
        log_expected_count=log_m,
        temperature=2.0,
    )
    student, teacher = np.exp([1.0, 0.5]) / [1, 4], np.exp([0.25, 1.5]) / [1, 4]
    p, q = teacher / teacher.sum(), student / student.sum()
    np.testing.assert_allclose(loss, 2 * 4 * -(p * np.log(q)).sum(), rtol=1e-5)


@pytest.mark.parametrize("negatives", ["sampled", "full"])
def test_a_student_s_loss_is_a_mixture_and_its_teacher_learns_nothing(
    dataset: Dataset, negatives: str
) -> None:
    asked = (f"loss.negatives={negatives}", "model.dropout=0")
    x, y = next(Epochs(dataset, small(*asked)).batches(0))
    known = TrainedModel(model_of(dataset, small("model.dimensions=16")), small(), dataset)

    def loss(teacher: TrainedModel | None, *settings: str, copied: float = 0.0) -> tf.Tensor:
        model = model_of(dataset, small(*asked, *settings))
        model.query_tower.copying.constant.assign_add(copied)
        alone = len(model.weights)
        model.teacher = None if teacher is None else Teacher(teacher, model.spec, dataset)
        assert len(model.weights) == alone
        return model.compute_loss(x, y, model(x, training=True))

    with tf.GradientTape() as tape:
        taught = loss(known, "loss.distillation=1")
    theirs = [w.value for w in known.model.trainable_weights]
    assert all(gradient is None for gradient in tape.gradient(taught, theirs))
    by_itself = loss(None)
    # A teacher knows nothing of copies: what is its alone does not move with them.
    np.testing.assert_allclose(loss(known, "loss.distillation=1", copied=3.0), taught, rtol=1e-5)
    assert abs(loss(None, copied=3.0) - by_itself) > 1e-2
    np.testing.assert_allclose(loss(known, "loss.distillation=0"), by_itself, rtol=1e-5)
    mixed = loss(known, "loss.distillation=0.25")
    np.testing.assert_allclose(mixed, 0.75 * by_itself + 0.25 * taught, rtol=1e-5)
    assert abs(taught - by_itself) > 1e-2
    assert abs(loss(known, "loss.distillation=1", "loss.teacher_temperature=0.5") - taught) > 1e-2


def test_a_student_says_what_its_teacher_says(folder: Path, dataset: Dataset) -> None:
    teacher = TrainedModel.load(folder / "teacher")
    found = {}
    for share in (0.0, 1.0):
        asked = settings("model.dropout=0", f"loss.distillation={share}")
        epochs = Epochs(dataset, asked)
        student = build_model(dataset, asked, epochs)
        student.teacher = Teacher(teacher, student.spec, dataset)
        compile_model(student, asked, epochs.steps)
        for epoch in range(8):
            for batch in epochs.batches(epoch):
                student.train_on_batch(*batch)
        found[share] = divergence(teacher.model, student, dataset)
    assert found[1.0] < 0.5 * found[0.0]


def divergence(teacher: TwoTowerModel, student: TwoTowerModel, dataset: Dataset) -> float:
    """Kullback and Leibler's, of the towers' probabilities of the catalogue: the mean over some places."""
    inputs, wanted = next(Epochs(dataset, settings()).batches(0))
    p, q = (
        tf.nn.log_softmax(
            tf.matmul(
                tf.reshape(one(inputs).embedding, [-1, one.spec.settings.dimensions + 1]),
                one.candidate_tower.table()[FIRST_ROW:],
                transpose_b=True,
            )
        ).numpy()
        for one in (teacher, student)
    )
    counts = wanted["weight"].reshape(-1) > 0
    return float((np.exp(p) * (p - q)).sum(axis=1)[counts].mean())


def test_what_is_no_teacher_is_refused(folder: Path, tmp_path: Path, dataset: Dataset) -> None:
    known = TrainedModel.load(folder / "teacher")
    spec = model_of(dataset, small()).spec
    other = replace(dataset, items=Vocabulary([*dataset.items.values[:-1], 987654]))
    with pytest.raises(SettingsError, match="not the same as the dataset's"):
        Teacher(known, spec, other)
    with pytest.raises(SettingsError, match=r"looks at the context .*device.*model\.context=true"):
        Teacher(known, spec.model_copy(update={"context": ()}), dataset)
    two = Workers()
    two.replicas = 2
    with pytest.raises(SettingsError, match="--teacher is for one process"):
        train(
            folder / "dataset",
            tmp_path / "model",
            settings(),
            quiet=True,
            teacher=folder / "teacher",
            workers=two,
        )


def test_an_unfinished_run_of_another_teacher_is_refused(folder: Path, tmp_path: Path) -> None:
    work = tmp_path / ".model.training"
    work.mkdir()
    settings().save(work / "settings.yaml")
    (work / "dataset.json").write_text(Dataset.load(folder / "dataset").schema.model_dump_json(indent=1))
    with pytest.raises(SettingsError, match="or to learn from"):
        train(folder / "dataset", tmp_path / "model", settings(), quiet=True, teacher=folder / "teacher")
