"""Tasks of ranking: what they learn from, what they move, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tfrec.shown import shown_to
from tests.tfrec.test_model import small
from tfrec.building import build_model, compile_model
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.errors import SettingsError
from tfrec.export import export
from tfrec.impressions import Impressions
from tfrec.layers.seeds import set_seeds
from tfrec.model import TwoTowerModel
from tfrec.ranking_evaluation import list_metrics, number_result
from tfrec.ranking_lists import RankingLists
from tfrec.ranking_metrics import log_loss
from tfrec.ranking_prediction import RankingPredictor
from tfrec.ranking_task import RankingTask, log_probabilities
from tfrec.schema import ContextColumn
from tfrec.settings_file import load_settings
from tfrec.spec import ModelSpec
from tfrec.trained import TrainedModel
from tfrec.vocabulary import Vocabulary

CLICK = "ranking.tasks={click: {label: click}}"
BOTH = "ranking.tasks={click: {label: click}, order: {label: buy, given: click}}"


def built(dataset: Dataset, impressions: Impressions, settings: Settings) -> tuple[TwoTowerModel, Epochs]:
    keras.utils.set_random_seed(settings.seed)
    epochs = Epochs(dataset, settings, impressions)
    return build_model(dataset, settings, epochs), epochs


def test_probabilities_of_a_chain_are_products() -> None:
    logits = np.array([[[0.3, -1.2]]], np.float32)
    dataset_free = ModelSpec.model_construct(ranking=load_settings(None, [BOTH]).ranking)
    came, not_came = (x.numpy()[0, 0] for x in log_probabilities(tf.constant(logits), dataset_free))
    click, order = 1 / (1 + np.exp([-0.3, 1.2]))
    np.testing.assert_allclose(np.exp(came), [click, click * order], rtol=1e-5)
    np.testing.assert_allclose(np.exp(not_came), [1 - click, 1 - click * order], rtol=1e-5)


def test_the_loss_by_hand() -> None:
    """Two lists, one with padding, and one that is empty."""
    spec = ModelSpec.model_construct(ranking=load_settings(None, [CLICK, "ranking.listwise=0.5"]).ranking)
    logits = np.array([[[1.0], [0.0], [9.0]], [[-1.0], [2.0], [0.5]], [[3.0], [3.0], [3.0]]], np.float32)
    weight = np.array([[1.0, 1.0, 0.0], [1.0, 2.5, 1.0], [0.0] * 3], np.float32)
    label = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0] * 3], np.float32)
    lists = {"weight": tf.constant(weight), "label.click": tf.constant(label)}
    (found,) = RankingTask(spec)(tf.constant(logits), lists).numpy()
    total = 0.0
    for i, real in ((0, 2), (1, 3)):
        p, y, w = 1 / (1 + np.exp(-logits[i, :real, 0])), label[i, :real], weight[i, :real]
        total += -np.sum(w * np.where(y > 0, np.log(p), np.log(1 - p)))
        total += 0.5 * -np.sum(y * np.log(p / (w * p).sum())) / y.sum()
    assert found == pytest.approx(total / 2, rel=1e-5)


NUMBERS = "ranking.tasks={click: {label: click}, dwell: {label: dwell, kind: regression}}"


def test_the_loss_of_numbers_and_of_strength_by_hand() -> None:
    """A list of three, one of which has no number; and one that is empty."""
    tasks = "{a: {label: a, strength: s}, b: {label: b, kind: regression}}"
    settings = load_settings(None, [f"ranking.tasks={tasks}", "ranking.listwise=0"])
    logits = np.array([[[1.0, 2.0], [0.0, -1.0], [-2.0, 9.0]], [[3.0, 3.0]] * 3], np.float32)
    lists = {
        "weight": np.array([[1.0, 2.0, 1.0], [0.0] * 3], np.float32),
        "label.a": np.array([[1.0, 0.0, 1.0], [0.0] * 3], np.float32),
        "strength.a": np.array([[3.0, 1.0, 0.5], [1.0] * 3], np.float32),
        "label.b": np.array([[0.5, 1.0, np.nan], [0.0] * 3], np.float32),
    }
    spec = ModelSpec.model_construct(ranking=settings.ranking)
    found = RankingTask(spec)(tf.constant(logits), {name: tf.constant(v) for name, v in lists.items()})
    p = 1 / (1 + np.exp(-logits[0, :, 0]))
    entropy = -(3 * np.log(p[0]) + 2 * np.log(1 - p[1]) + 0.5 * np.log(p[2]))
    squares = 1.5**2 / 2 + 2 * 2.0**2 / 2
    np.testing.assert_allclose(found, [entropy, squares], rtol=1e-5)


def test_numbers_come_in_their_own_units(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    model, _ = built(dataset, impressions, small(NUMBERS))
    few = impressions.take(np.arange(6))
    found = RankingPredictor(model, quiet=True)(dataset, few)
    assert ((found[:, 0] > 0) & (found[:, 0] < 1)).all()
    # At first a network says about the mean, whose labels are standardised.
    facts = impressions.facts.values[0]
    assert found[:, 1].mean() == pytest.approx(facts.mean, abs=4 * facts.std)
    model.ranker.head.bias.assign_add([0.0, 2.0])
    moved = RankingPredictor(model, quiet=True)(dataset, few)
    np.testing.assert_allclose(moved[:, 1] - found[:, 1], 2 * facts.std, rtol=1e-3)
    np.testing.assert_allclose(moved[:, 0], found[:, 0], rtol=1e-4)


def test_strength_is_a_share_of_the_mean_where_there_is_a_label(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    settings = small("ranking.tasks={click: {label: click, strength: dwell}}")
    found = RankingLists.of(impressions, dataset, settings.ranking).strength["click"]
    share = impressions.values["dwell"] / impressions.facts.values[0].mean
    counts = (impressions.labels["click"] > 0) & np.isfinite(share)
    np.testing.assert_allclose(found, np.where(counts, share, 1), rtol=1e-5)
    assert counts.any()


def test_mixed_precision_and_numbers_as_context(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    depth = ContextColumn(name="device", kind="numeric", mean=1.5, std=1.1)
    facts = impressions.facts.model_copy(update={"context": (depth,)})
    depths = np.where(np.arange(len(impressions)) % 5, 2.0, np.nan).astype(np.float32)
    impressions = replace(impressions, facts=facts, context={"device": depths})
    schema = dataset.schema.model_copy(update={"impressions": facts})
    settings = small(BOTH, "training.precision=mixed_bfloat16")
    model, epochs = built(replace(dataset, schema=schema), impressions, settings)
    x, y = next(epochs.batches(0))
    assert np.isfinite(float(model.compute_loss(x, y, model(x, training=True))))


def test_a_model_that_ranks_alone_is_not_exported(
    rich_dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    dataset, impressions = shown_to(rich_dataset())
    settings = small(CLICK, "ranking.retrieval=false", "model.rules=0")
    model, _ = built(dataset, impressions, settings)
    context = {"device": Vocabulary(["phone", "desktop"])}
    (tmp_path / "model").mkdir()
    TrainedModel(model, settings, replace(dataset, impression_context=context)).save(tmp_path / "model")
    assert TrainedModel.load(tmp_path / "model").facts.impression_context["device"].size == 4
    with pytest.raises(SettingsError, match="has learned to rank alone"):
        export(tmp_path / "model", tmp_path / "servables" / "shop")


def loss_of(dataset: Dataset, impressions: Impressions, *overrides: str) -> float:
    """Of a first batch, without dropout; the same weights and batch whatever the loss's settings are."""
    still = ("training.xla=false", "model.dropout=0", "ranking.dropout=0")
    model, epochs = built(dataset, impressions, small(*still, *overrides))
    x, y = next(epochs.batches(0))
    return float(model.compute_loss(x, y, model(x)))


def test_losses_count_as_their_weights_say(rich_dataset: Callable[..., Dataset]) -> None:
    log = shown_to(rich_dataset())

    def loss(click: float = 1, order: float = 1, *more: str) -> float:
        tasks = f"{{click: {{label: click, weight: {click}}}, order: {{label: buy, weight: {order}}}}}"
        # Scores in retrieval would be an input of the one and not of the other.
        return loss_of(*log, f"ranking.tasks={tasks}", "ranking.retrieval_score=false", *more)

    both, alone = loss(), loss(1, 1, "ranking.retrieval=false")
    assert both > alone > 0
    click, order = loss(2) - both, loss(1, 2) - both
    assert min(click, order) > 0
    assert click + order == pytest.approx(alone, rel=1e-4)
    assert loss(1, 1, "ranking.weight=3") == pytest.approx(both + 2 * alone, rel=1e-4)
    # Uncertainties begin as 1.
    assert loss(1, 1, "ranking.balance=uncertainty") == pytest.approx(both, rel=1e-4)


def test_uncertainties_are_learned(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    model, epochs = built(dataset, impressions, small(BOTH, "ranking.balance=uncertainty"))
    assert model.balance is not None
    x, y = next(epochs.batches(0))
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x))
    gradient = tape.gradient(loss, model.balance.log_variance).numpy()
    # Of exp(-s) · loss + s / 2 at s = 0: the losses themselves are not a half.
    assert gradient.shape == (3,)
    assert (np.abs(gradient) > 1e-3).all()
    assert gradient.sum() == pytest.approx(1.5 - float(loss), rel=1e-4)


@pytest.mark.parametrize(
    ("overrides", "moved"),
    [
        (["ranking.retrieval=false"], {"ranker", "query_tower", "items"}),
        (["ranking.weight=1e-30", "ranking.attention=false"], {"query_tower", "items", "candidate_tower"}),
    ],
)
def test_each_loss_moves_what_it_should_and_nothing_else(
    rich_dataset: Callable[..., Dataset], overrides: list[str], moved: set[str]
) -> None:
    dataset, impressions = shown_to(rich_dataset())
    model, epochs = built(dataset, impressions, small(CLICK, "training.xla=false", *overrides))
    x, y = next(epochs.batches(0))
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    found = set()
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        if gradient is not None and np.abs(tf.convert_to_tensor(gradient).numpy()).max() > 1e-12:
            names = variable.path.split("/")
            found.add(next(n for n in ("items", "ranker", "candidate_tower", "query_tower") if n in names))
    assert found == moved


def test_ranking_that_only_reads_the_towers_leaves_them_to_retrieval(
    rich_dataset: Callable[..., Dataset],
) -> None:
    dataset, impressions = shown_to(rich_dataset())
    found = []
    for overrides in (["ranking.into_towers=false"], ["ranking.weight=1e-30"]):
        model, epochs = built(
            dataset, impressions, small(CLICK, "training.xla=false", "model.dropout=0", *overrides)
        )
        x, y = next(epochs.batches(0))
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x, y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        found.append(
            {
                variable.path.partition("/")[2]: tf.convert_to_tensor(gradient).numpy()
                for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
                if gradient is not None
            }
        )
    reads, alone = found
    heads = [path for path in reads if "ranker" in path.split("/")]
    assert heads
    assert all(np.abs(reads[path]).max() > 1e-6 for path in heads if path.endswith("kernel"))
    for path in set(alone) - set(heads):
        np.testing.assert_allclose(reads[path], alone[path], atol=1e-6)


def test_it_learns_what_the_statistic_says(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    fast = ["model.blocks=1", "model.rules=0", "ranking.attention=false", "training.xla=false"]
    learned = ["ranking.retrieval=false", "training.learning_rate=0.02", "training.epochs=24"]
    settings = small(NUMBERS, *fast, *learned)
    model, epochs = built(dataset, impressions, settings)
    compile_model(model, settings, epochs.steps)
    set_seeds(model, settings.seed, 0)
    for epoch in range(settings.training.epochs):
        for x, y in epochs.batches(epoch):
            model.train_on_batch(x, y)
    val = impressions.take(np.flatnonzero(impressions.is_role("val")))
    probabilities, dwell = RankingPredictor(model, quiet=True)(dataset, val).T
    found = list_metrics(probabilities, val.labels["click"], val.offsets, val.user_id)
    assert found["auc"] > 0.9
    assert found["auc_by_user"] > 0.85
    assert log_loss(probabilities, val.labels["click"]) < 0.4  # that of the share alone is 0.50
    errors = number_result(dwell, val.values["dwell"], val.weight, {})
    assert errors.metrics["r2"] > 0.5


def test_answers_do_not_depend_on_what_is_asked_beside(rich_dataset: Callable[..., Dataset]) -> None:
    """The same probabilities whether impressions are asked one by one or together."""
    dataset, impressions = shown_to(rich_dataset())
    model, _ = built(dataset, impressions, small(BOTH, "model.max_length=31"))
    predictor = RankingPredictor(model, quiet=True)
    together = predictor(dataset, impressions)
    for number in (0, 7, len(impressions) - 1):
        own = slice(impressions.offsets[number], impressions.offsets[number + 1])
        alone = predictor(dataset, impressions.take(np.array([number])))
        np.testing.assert_allclose(alone, together[own], rtol=1e-4, atol=1e-6)
    assert (together[:, 1] <= together[:, 0]).all()


@pytest.mark.parametrize(
    "overrides", [[], ["ranking.sharing=mmoe"], ["ranking.sharing=ple", "ranking.expert_levels=2"]]
)
def test_a_saved_model_gives_the_same_chances(
    rich_dataset: Callable[..., Dataset], tmp_path: Path, overrides: list[str]
) -> None:
    dataset, impressions = shown_to(rich_dataset())
    more = ["ranking.cross=2", "ranking.balance=uncertainty"] if overrides else []
    model, _ = built(dataset, impressions, small(BOTH, *overrides, *more))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    few = impressions.take(np.arange(5))
    expected = RankingPredictor(model, quiet=True)(dataset, few)
    np.testing.assert_array_equal(RankingPredictor(loaded, quiet=True)(dataset, few), expected)
