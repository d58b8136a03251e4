"""Settings: what is refused, and that every one of them reaches what it sets."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.tfrec.shown import shown_to
from tfrec.building import build_model, compile_model
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.distribution.summing import parts_of_the_log
from tfrec.distribution.workers import Workers
from tfrec.epochs import Epochs
from tfrec.errors import SettingsError
from tfrec.pruning import sparsity_at
from tfrec.run import Run
from tfrec.settings_file import known_keys, load_settings
from tfrec.validation import validation_positions

BASE = (
    "model.blocks=1",
    "model.dimensions=8",
    "model.feed_forward=8",
    "model.max_length=15",
    "model.rules=0",
    "training.rows=2",
    "training.row_length=16",
    "training.epochs=2",
    "training.validation_users=24",
    "training.weight_decay=0.001",
    "loss.negatives=sampled",
    "loss.in_batch=16",
    "loss.uniform=8",
)
# For each setting, a value that differs from BASE, and what must then differ.
CHANGES = {
    "seed": 2,
    "model.dimensions": 12,
    "model.blocks": 2,
    "model.heads": 4,
    "model.feed_forward": 12,
    "model.max_length": 7,
    "model.dropout": 0.5,
    "model.fusion": "sum",
    "model.block": "hstu",
    "model.rotary": True,
    "model.copy_scores": False,
    "model.copy_curves": False,
    "model.copy_newest": True,
    "model.rules": 3,
    "model.rule_scope": "user",
    "model.rule_discount": 0.5,
    "model.rule_events": 2,
    "model.rule_boost": 1.5,
    "model.history": False,
    "model.pairwise": ["time"],
    "model.encodings": ["gap"],
    "model.id_dropout": 0.5,
    "model.id_table": "hashed",
    "model.items_a_row": 3,
    "model.time_of_day": True,
    "model.item_features": False,
    "model.context": False,
    "loss.kind": "bce",
    "loss.calibration": 0.1,
    "loss.smoothing": 0.2,
    "loss.without_rules": 0.5,
    "loss.normalise": True,
    "loss.negatives": "full",
    "loss.full_up_to": 5,
    "loss.in_batch": 4,
    "loss.in_batch_negatives": False,
    "loss.uniform": 4,
    "loss.bar_repeats": False,
    "loss.positives": 3,
    "augmentation.drop": 0.3,
    "augmentation.reorder": 0.5,
    "augmentation.mask": 0.5,
    "augmentation.cut_at_sessions": True,
    "loss.temperature": 0.5,
    "training.epochs": 3,
    "training.pretraining_epochs": 1,
    "training.pretraining_mask": 0.7,
    "training.rows": 4,
    "training.row_length": 32,
    "training.learning_rate": 0.1,
    "training.warm_up": 0.5,
    "training.beta_2": 0.9,
    "training.weight_decay": 0.5,
    "training.clip_norm": 0.001,
    "training.average": 0.9,
    "training.half_life_days": 0.5,
    "training.sparse_updates": True,
    "training.share_users": True,
    "training.sparsity": 0.5,
    "training.pruning_begin": 0.1,
    "training.pruning_end": 0.9,
    "training.rule_folds": 3,
    "training.patience": 1,
    "training.validation_users": 3,
    "training.precision": "mixed_bfloat16",
    "training.xla": False,
    "ranking.tasks": "{click: {label: click}}",
    "ranking.weight": 3,
    "ranking.retrieval": False,
    "ranking.into_towers": False,
    "ranking.retrieval_score": False,
    "ranking.balance": "uncertainty",
    "ranking.cross": 1,
    "ranking.sharing": "mmoe",
    "ranking.experts": 3,
    "ranking.expert_levels": 2,
    "ranking.attention": False,
    "ranking.list_blocks": 0,
    "ranking.listwise": 0,
    "ranking.statistics": [],
    "ranking.dropout": 0.5,
    "ranking.share": 0.4,
    "ranking.candidates": 3,
    "ranking.unknown": 0,
}

TASKS = "ranking.tasks={click: {label: click}}"
TWO_TASKS = "ranking.tasks={click: {label: click}, order: {label: buy}}"

# What a setting needs of others to matter.
NEEDED = {
    "loss.full_up_to": ["loss.negatives=auto"],
    "loss.calibration": ["loss.kind=gbce"],
    "model.rule_scope": ["model.rules=6"],
    "model.rule_discount": ["model.rules=2"],
    "model.rule_events": ["model.rules=6"],
    "model.rule_boost": ["model.rules=6"],
    "loss.without_rules": ["model.rules=6"],
    "training.rule_folds": ["model.rules=6"],
    "model.items_a_row": ["model.id_table=quotient_remainder"],
    "training.pruning_begin": ["training.sparsity=0.5"],
    "training.pruning_end": ["training.sparsity=0.5"],
    "training.pretraining_mask": ["training.pretraining_epochs=1"],
    "augmentation.cut_at_sessions": ["model.max_length=4"],
    **{key: [TASKS] for key in CHANGES if key.startswith("ranking.") and key != "ranking.tasks"},
    "ranking.sharing": [TWO_TASKS],
    "ranking.experts": [TWO_TASKS, "ranking.sharing=ple"],
    "ranking.expert_levels": [TWO_TASKS, "ranking.sharing=ple"],
}

# What a setting needs of the log to matter.
OF_THE_LOG = {"loss.bar_repeats": {"repeats": "across_sessions"}}


def fingerprint(dataset: Dataset, settings: Settings) -> dict[str, object]:
    """All that a run's settings decide, after one step."""
    keras.utils.set_random_seed(settings.seed)
    with_impressions, impressions = shown_to(dataset)
    dataset = with_impressions if settings.ranking.tasks else dataset
    epochs = Epochs(dataset, settings, impressions if settings.ranking.tasks else None)
    model = build_model(dataset, settings, epochs)
    compile_model(model, settings, epochs.steps)
    jit = model.jit_compile
    model.jit_compile = False
    model.run_eagerly = True  # what a step computes is the same, and nothing is traced
    batch = next(epochs.batches(0))
    loss = float(model.train_on_batch(*batch))
    query, tower = model(batch[0]), model.query_tower
    run = Run.__new__(Run)
    run.settings, run.state = settings, _waiting(epoch=3, best_epoch=1)
    return {
        "loss": loss,
        "norms": [float(np.abs(w.numpy().astype(np.float64)).sum()) for w in model.trainable_weights],
        "optimizer": [float(np.abs(v.numpy().astype(np.float64)).sum()) for v in model.optimizer.variables],
        "shapes": {k: v.shape for half in batch for k, v in half.items()},
        "steps": epochs.steps,
        "rules": float(np.exp(tower.rule_candidates(query.rules)[1]).sum()) if tower.rules else 0.0,
        "rates": [float(model.optimizer._learning_rate(s)) for s in (1, 5)],
        "average": model.optimizer.ema_momentum,
        "asked": validation_positions(dataset, settings).tolist(),
        "over": run.is_over(),
        "parts": parts_of_the_log(settings, Workers(index=0, count=2)).parts,
        "sparsity": [sparsity_at(step, settings.training, epochs.steps) for step in range(40)],
        "xla": jit,
        "precision": model.dtype_policy.name,
    }


def _waiting(epoch: int, best_epoch: int):  # type: ignore[no-untyped-def]
    from tfrec.checkpoints import RunState

    return RunState(epoch=epoch, best=0.5, best_epoch=best_epoch)


@pytest.fixture(scope="module")
def log(rich_dataset: Callable[..., Dataset]) -> Dataset:
    return rich_dataset()


@pytest.fixture(scope="module")
def base(rich_dataset: Callable[..., Dataset]) -> Callable[..., dict[str, object]]:
    """`base(*extra, **facts)`: of BASE and further settings, on a log of such facts; each once."""
    kept: dict[object, dict[str, object]] = {}

    def of(*extra: str, **facts: object) -> dict[str, object]:
        key = (extra, tuple(facts.items()))
        if key not in kept:
            kept[key] = fingerprint(rich_dataset(**facts), load_settings(None, [*BASE, *extra]))
        return kept[key]

    return of


def test_every_setting_is_tried() -> None:
    # Settings of answers change no run but a servable, those of teaching none without a teacher;
    # test_two_stages and test_teacher try them.
    elsewhere = {key for key in known_keys() if key.startswith("answers.")}
    elsewhere |= {"loss.distillation", "loss.teacher_temperature"}
    assert set(CHANGES) == set(known_keys()) - elsewhere


@pytest.mark.parametrize("key", list(CHANGES))
def test_setting_reaches_the_run(
    rich_dataset: Callable[..., Dataset], log: Dataset, base: Callable[..., dict[str, object]], key: str
) -> None:
    value = str(CHANGES[key]).lower() if isinstance(CHANGES[key], bool) else CHANGES[key]
    extra, facts = NEEDED.get(key, []), OF_THE_LOG.get(key, {})
    log = rich_dataset(**facts) if facts else log
    found = fingerprint(log, load_settings(None, [*BASE, *extra, f"{key}={value}"]))
    assert found != base(*extra, **facts)


@pytest.mark.parametrize("name", ["gap", "place", "request", "recurrence"])
def test_every_encoding_reaches_the_run(log: Dataset, name: str) -> None:
    none, one = ([*BASE, f"model.encodings={names}"] for names in ("[]", f"[{name}]"))
    assert fingerprint(log, load_settings(None, one)) != fingerprint(log, load_settings(None, none))


def test_the_same_settings_give_the_same_run(log: Dataset, base: Callable[..., dict[str, object]]) -> None:
    assert fingerprint(log, load_settings(None, BASE)) == base()
    tasks = fingerprint(log, load_settings(None, [*BASE, TASKS]))
    assert tasks == base(TASKS)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.dimension=8"], "unknown setting model.dimension; the nearest known one is model.dimensions"),
        (["modle.blocks=8"], "unknown setting modle; the nearest known one is model"),
        (["training.droput=0.1"], "the nearest known one is model.dropout"),
        (["model.dropout=2"], "model.dropout: Input should be less than 1"),
        (["model.heads=3"], "heads=3 must divide dimensions=64"),
        (["training.row_length=64"], "must exceed model.max_length=127"),
        (["training.epochs"], "expected key=value"),
        (["model.fusion=late"], "'early', 'sum'"),
    ],
)
def test_errors_name_the_setting(overrides: list[str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, overrides)
    assert words in str(caught.value)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    settings = load_settings(None, ["training.epochs=3", "model.fusion=gated"])
    settings.save(path)
    assert load_settings(path) == settings
    assert load_settings(path, ["training.epochs=4"]).training.epochs == 4
    path.write_text("- a list")
    with pytest.raises(SettingsError, match="expected keys and values"):
        load_settings(path)
    with pytest.raises(SettingsError, match="no such file"):
        load_settings(tmp_path / "none.yaml")
