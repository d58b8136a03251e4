"""The two towers: packing, causality, fusions, settings, saving."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tfrec.batches import Rows, pack_windows
from tfrec.building import build_model, compile_model, ema_decay
from tfrec.checkpoints import Checkpoints
from tfrec.config import FUSIONS, Settings
from tfrec.dataset import Dataset
from tfrec.epochs import Epochs
from tfrec.model import TwoTowerModel
from tfrec.packing import cut_windows
from tfrec.run import Run
from tfrec.schema import FIRST_ROW, PADDING_ROW, UNKNOWN_ROW
from tfrec.settings_file import load_settings

SMALL = ("model.dimensions=8", "model.feed_forward=8", "model.max_length=15", "training.rows=4")
FEW_RULES = ("model.rules=4", "model.rule_events=2")


def small(*overrides: str) -> Settings:
    return load_settings(None, [*SMALL, *FEW_RULES, "loss.in_batch=16", "loss.uniform=8", *overrides])


def model_of(dataset: Dataset, settings: Settings) -> TwoTowerModel:
    keras.utils.set_random_seed(settings.seed)
    model = build_model(dataset, settings, Epochs(dataset, settings))
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:  # zeros at the start would hide what they multiply
        weight.assign_add(random.normal(0, 0.1, weight.shape))
    return model


def packed(dataset: Dataset, row_length: int) -> Rows:
    start, stop = cut_windows(dataset.sequences.offsets, 16)
    return pack_windows(dataset.sequences, start, stop, row_length)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_packed_equals_unpacked(rich_dataset: Callable[..., Dataset], fusion: str) -> None:
    dataset = rich_dataset()
    model = model_of(dataset, small(f"model.fusion={fusion}", "model.time_of_day=true"))
    answers = {}
    for length in (16, 48):
        rows = packed(dataset, length)
        query = model(rows.inputs).embedding.numpy()
        copies = model(rows.inputs).copy_score.numpy()
        real = rows.position >= 0
        order = np.argsort(rows.position[real])
        totals = np.exp(copies).sum(-1)
        answers[length] = query[real][order], totals[real][order]
    assert len(packed(dataset, 48).item) < len(packed(dataset, 16).item)
    np.testing.assert_allclose(answers[16][0], answers[48][0], atol=1e-5)
    np.testing.assert_allclose(answers[16][1], answers[48][1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("repeats", ["anywhere", "across_sessions"])
@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("model.fusion=cross", "model.copy_newest=true"),
        ("model.rules=0", "model.pairwise=[places]"),
        ("model.copy_scores=false", "model.pairwise=[]"),
    ],
)
def test_requests_that_are_asked_alone_get_the_same(
    rich_dataset: Callable[..., Dataset], settings: tuple[str, ...], repeats: str
) -> None:
    dataset = rich_dataset(repeats=repeats)
    model = model_of(dataset, small(*settings))
    rows = packed(dataset, 48)
    asked = np.array([[3, 0], [40, 9], [17, 17]], np.int32)[np.arange(len(rows.item)) % 3]
    every, found = model(rows.inputs), model(rows.inputs | {"asked": asked})
    expected = [x for x in (every.embedding, every.copy_score, *(every.rules or ())) if x is not None]
    compared = [x for x in (found.embedding, found.copy_score, *(found.rules or ())) if x is not None]
    for there, here in zip(expected, compared, strict=True):
        np.testing.assert_allclose(
            here, np.take_along_axis(there.numpy(), asked[..., None], axis=1), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("fusion", FUSIONS)
def test_no_position_sees_what_comes_after_it(rich_dataset: Callable[..., Dataset], fusion: str) -> None:
    dataset = rich_dataset()
    model = model_of(dataset, small(f"model.fusion={fusion}"))
    rows = packed(dataset, 16)
    inputs = {name: array.copy() for name, array in rows.inputs.items()}
    for name in ("item", "event_type", "context.device", "context.dwell"):
        inputs[name][:, 9:] = 2
    before, after = model(rows.inputs).embedding.numpy(), model(inputs).embedding.numpy()
    early = rows.position >= 0
    early[:, 9:] = False
    np.testing.assert_array_equal(before[early], after[early])
    assert not np.allclose(before[:, 9:], after[:, 9:])


def test_query_knows_when_it_is_asked_but_not_what_comes(rich_dataset: Callable[..., Dataset]) -> None:
    dataset = rich_dataset()
    model = model_of(dataset, small())
    rows = packed(dataset, 16)
    later = dict(rows.inputs) | {"request_time": rows.inputs["request_time"] + 86_400 * 3}
    assert not np.allclose(model(rows.inputs).embedding, model(later).embedding)


def test_order_inside_unordered_sessions_is_no_input(rich_dataset: Callable[..., Dataset]) -> None:
    """Swapping the events of an earlier session changes no later request (of one causal block)."""
    dataset = rich_dataset(ordered_sessions=False)
    model = model_of(dataset, small("model.blocks=1"))
    rows = packed(dataset, 16)
    inputs = {name: array[:1].copy() for name, array in rows.inputs.items()}
    # One sequence of three sessions, each with one time: baskets.
    inputs["segment"][:] = 1
    inputs["session"][0] = [-1, *[0] * 4, *[1] * 5, *[2] * 6]
    inputs["time"][0] = inputs["session"][0].clip(0) * 90_000
    inputs["request_session"][0] = np.append(inputs["session"][0, 1:], 3)
    inputs["request_time"][0] = np.append(inputs["time"][0, 1:], 270_000)
    swapped = {name: array.copy() for name, array in inputs.items()}
    for name in ("item", "event_type", "context.device", "context.dwell"):
        swapped[name][0, 5:9] = inputs[name][0, 5:9][::-1]
    np.testing.assert_allclose(model(inputs).embedding[0, 15], model(swapped).embedding[0, 15], atol=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_learns(rich_dataset: Callable[..., Dataset], fusion: str) -> None:
    from tfrec.building import compile_model
    from tfrec.feeding import batches_of

    dataset = rich_dataset()
    compiled = f"training.xla={str(fusion == 'early').lower()}"  # one is enough: compiling takes seconds
    settings = small(f"model.fusion={fusion}", "training.epochs=6", "training.learning_rate=0.02", compiled)
    model = model_of(dataset, settings)
    epochs = Epochs(dataset, settings)
    compile_model(model, settings, epochs.steps)
    before = [w.numpy() for w in model.trainable_weights]
    history = model.fit(batches_of(epochs, 0, 6), epochs=6, steps_per_epoch=epochs.steps, verbose=0).history[
        "loss"
    ]
    assert history[-1] < history[0]
    unmoved = [
        w.path
        for w, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(w.numpy(), old)
    ]
    assert unmoved == []


def test_scores_are_float32_under_mixed_precision(rich_dataset: Callable[..., Dataset]) -> None:
    dataset = rich_dataset()
    model = model_of(dataset, small("training.precision=mixed_bfloat16"))
    query = model(packed(dataset, 16).inputs)
    assert query.embedding.dtype == query.copy_score.dtype == model.candidate_tower.table().dtype == "float32"
    assert model.query_tower.blocks[0].compute_dtype == "bfloat16"


def test_saved_and_loaded_in_another_process_answers_bit_for_bit(
    rich_dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    dataset = rich_dataset()
    model = model_of(dataset, small())
    rows = packed(dataset, 16)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "inputs.npz", **rows.inputs)
    np.save(tmp_path / "query.npy", model(rows.inputs).embedding)
    code = (
        "import sys, tfrec.model, keras, numpy as np; p = sys.argv[1]; "
        "m = keras.saving.load_model(p + '/model.keras', compile=False); "
        "q = m(dict(np.load(p + '/inputs.npz'))).embedding.numpy(); "
        "assert np.array_equal(q, np.load(p + '/query.npy')); print('equal')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "equal", done.stderr[-2000:]


def test_without_history_each_session_is_a_sequence_of_its_own(rich_dataset: Callable[..., Dataset]) -> None:
    """The same queries as when every session were a user."""
    dataset = rich_dataset()
    model = model_of(dataset, small("model.history=false", "model.rules=4"))
    s = dataset.sequences
    longest = int(np.diff(s.offsets).max())  # so that no window begins inside a session
    whole = pack_windows(s, *cut_windows(s.offsets, longest), longest)
    starts = np.flatnonzero(s.session_starts)
    apart = replace(s, offsets=np.append(starts, len(s.item)), user_id=np.arange(len(starts)))
    start, stop = cut_windows(apart.offsets, 16)
    cut = pack_windows(apart, start, stop, 16)
    found = {}
    for name, rows in (("whole", whole), ("cut", cut)):
        query = model(rows.inputs)
        real = rows.position >= 0
        order = np.argsort(rows.position[real])
        rules = np.exp(model.query_tower.rule_candidates(query.rules)[1]).sum(axis=-1)
        copies = np.exp(query.copy_score).sum(axis=-1)
        found[name] = [x[real][order] for x in (query.embedding.numpy(), rules, copies)]
    for one, other in zip(found["whole"], found["cut"], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_pretraining_finds_hidden_items_from_both_sides(rich_dataset: Callable[..., Dataset]) -> None:
    dataset = rich_dataset()
    settings = small("training.pretraining_epochs=1", "training.pretraining_mask=0.3")
    epochs = Epochs(dataset, settings)
    x, y = next(epochs.batches(0))
    hidden = y["weight"] > 0
    assert (x["item"][hidden] == UNKNOWN_ROW).all()
    assert (y["item"][hidden] >= FIRST_ROW).all()
    real = (x["segment"] > 0) & (x["item"] != PADDING_ROW)
    assert 0.15 < hidden.sum() / real.sum() < 0.45
    model = model_of(dataset, settings)
    later = x | {"item": np.where(np.arange(16) == 9, 5, x["item"])}
    sees = {}
    for pretraining in (False, True):
        model.set_pretraining(pretraining)
        before, after = model(x).embedding.numpy(), model(later).embedding.numpy()
        changed = np.abs(before - after).max(axis=-1) > 0
        same = x["segment"] == x["segment"][:, 9:10]
        sees[pretraining] = changed[:, :9][same[:, :9]]
    assert not sees[False].any()
    assert sees[True].all()


@pytest.mark.parametrize(("steps", "decay"), [(0, 0), (1, 0), (2, 0.5), (500, 0.998)])
def test_an_average_over_steps_has_a_decay(steps: float, decay: float) -> None:
    assert ema_decay(steps) == pytest.approx(decay)


def test_averaged_weights_are_what_counts(rich_dataset: Callable[..., Dataset], tmp_path: Path) -> None:
    """The best weights of an epoch are the moving averages; training goes on with the last ones."""
    dataset = rich_dataset()
    settings = small("training.average=0.5", "training.epochs=1")
    epochs = Epochs(dataset, settings)
    model = model_of(dataset, settings)
    compile_model(model, settings, epochs.steps)
    run = Run(model, dataset, settings, Checkpoints(tmp_path), quiet=True)
    run.on_epoch_begin(0)
    for batch in epochs.batches(0):
        model.train_on_batch(*batch)
    last = [v.numpy() for v in model.trainable_variables]
    run.on_epoch_end(0)
    for variable, value in zip(model.trainable_variables, last, strict=True):
        np.testing.assert_array_equal(variable, value)
    best = run.result(dataset, 1.0).model.trainable_variables
    apart = [not np.allclose(b, v) for b, v in zip(best, last, strict=True)]
    assert np.mean(apart) > 0.8
