"""A model that is ready to train: what its catalogue says, and its optimizer."""

from typing import Any

import keras

from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.distribution.sharded_step import ShardedStep
from tfrec.distribution.shards import Shards
from tfrec.distribution.shareable import require_tables_shareable, shares_tables
from tfrec.distribution.steps import ReplicatedStep, SharedAdamW, SummedAdamW
from tfrec.distribution.workers import Workers
from tfrec.epochs import Epochs
from tfrec.features import feature_values
from tfrec.model import TwoTowerModel
from tfrec.optimizer import AdamW
from tfrec.rows_apart import apart
from tfrec.rules import count_rules
from tfrec.sparse_updates import LazyAdamW
from tfrec.spec import ModelSpec
from tfrec.teacher import Teacher
from tfrec.trained import TrainedModel
from tfrec.warm_start import Kept, begin_with


def ready_model(
    dataset: Dataset,
    settings: Settings,
    epochs: Epochs,
    workers: Workers,
    older: TrainedModel | None = None,
    teacher: TrainedModel | None = None,
) -> tuple[TwoTowerModel, Shards | None, Kept | None]:
    """Returns a model that is ready for its first step.

    Returns:
        The model; this worker's part of its tables, where they are shared; what came over from `older`.
    """
    shared = shares_tables(settings, workers)
    with workers.scope():
        model = build_model(dataset, settings, epochs, tables_apart=shared)
    shards = build_shards(model, settings, workers) if shared else None
    with workers.scope():
        if teacher is not None:
            model.teacher = Teacher(teacher, model.spec, dataset)
        kept = None if older is None else begin_with(model, dataset, older, shards)
    if shards is not None:
        compile_shards(shards, settings, epochs.steps)
    with workers.scope():
        compile_model(model, settings, epochs.steps, workers, shards)
    return model, shards, kept


def build_model(
    dataset: Dataset, settings: Settings, epochs: Epochs, *, tables_apart: bool = False
) -> TwoTowerModel:
    """Returns a model with the catalogue of a dataset, and the shares of its training targets.

    Args:
        dataset: whose catalogue it has.
        settings: of the run.
        epochs: of the same dataset.
        tables_apart: build it without its tables of items; see `tfrec.rows_apart`.
    """
    spec = ModelSpec.of(settings, dataset)
    with apart(tables_apart):
        model = TwoTowerModel(spec, dtype=settings.training.precision)
        model.build()
    features = feature_values(dataset, spec.features, spec.feature_widths)
    model.set_catalogue(epochs.target_share(), features)
    if epochs.lists is not None and model.ranker is not None:
        model.ranker.head.bias.assign(epochs.lists.log_odds(settings.ranking))
    if model.query_tower.rules is not None:
        within = spec.settings.rule_scope == "session"
        counted = count_rules(
            epochs.sequences,
            spec.items,
            spec.settings.rules,
            settings.training.rule_folds,
            ordered=spec.ordered_sessions,
            within_session=within,
            discount=spec.settings.rule_discount,
            others=epochs.others,
        )
        model.query_tower.rules.set_rules(*counted)
    return model


def compile_model(
    model: TwoTowerModel,
    settings: Settings,
    steps_per_epoch: int,
    workers: Workers | None = None,
    shards: Shards | None = None,
) -> None:
    """Sets how a step moves the weights.

    Args:
        model: built.
        settings: of the run.
        steps_per_epoch: of batches of all replicas.
        workers: in whose scope this is called; None: this process alone.
        shards: where the model's tables are, where they lie apart.
    """
    workers, s = workers or Workers(), settings.training
    several = workers.replicas > 1
    kind: type[AdamW] = SummedAdamW if several else AdamW
    more: dict[str, Any] = {"global_clipnorm": s.clip_norm}
    if shards is not None:
        kind, more = SharedAdamW, {}  # the step clips
    elif s.sparse_updates:
        kind, more = LazyAdamW, {**more, "tables": item_tables(model)}
    optimizer = optimizer_of(kind, settings, steps_per_epoch, **more)
    optimizer.build(model.trainable_variables)
    # What replicas send each other is no part of a compiled program: only what each computes by itself is.
    model.compile(optimizer=optimizer, jit_compile=s.xla and not several)
    if shards is not None:
        model.replicated = ShardedStep(model, shards, s.clip_norm, xla=s.xla)
    elif several:
        model.replicated = ReplicatedStep(model, xla=s.xla, processes=workers.count)


def optimizer_of(kind: type[AdamW], settings: Settings, steps_per_epoch: int, **more: Any) -> Any:
    """Returns an optimizer: AdamW, a linear warm-up, then a cosine to 0 at the last step.

    The weights' moving average, where one is asked for, goes over a share of all steps, so that it
    means the same in a short run and in a long one.

    Args:
        kind: of AdamW.
        settings: of the run.
        steps_per_epoch: of batches of all replicas.
        more: arguments of its kind.
    """
    s = settings.training
    steps = s.epochs * steps_per_epoch
    warm_up = round(steps * s.warm_up)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up else s.learning_rate,
        decay_steps=max(steps - warm_up, 1),
        warmup_target=s.learning_rate if warm_up else None,
        warmup_steps=warm_up,
    )
    optimizer = kind(
        rate,
        beta_2=s.beta_2,
        weight_decay=s.weight_decay,
        use_ema=s.average > 0,
        ema_momentum=ema_decay(s.average * steps),
        **more,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "propensity", "constant", "scale", "log_variance"])
    return optimizer


def build_shards(model: TwoTowerModel, settings: Settings, workers: Workers) -> Shards:
    """Returns this worker's part of the tables of a model that was built without them.

    Raises:
        SettingsError: they cannot hold them together.
    """
    require_tables_shareable(model.spec, workers)
    return Shards(item_tables(model), workers.index, workers.count, settings.seed)


def compile_shards(shards: Shards, settings: Settings, steps_per_epoch: int) -> None:
    """Sets how rows move, once they are what training begins with: averages begin there, too."""
    shards.compile(optimizer_of(LazyAdamW, settings, steps_per_epoch, tables=shards.weights))


def item_tables(model: TwoTowerModel) -> list[Any]:
    """Returns the weights that are learned for each item by itself, or what stands for them."""
    towers = model.query_tower, model.candidate_tower
    found = [towers[0].embedding.table, towers[1].bias]
    return found if towers[0].copying is None else [*found, towers[0].copying.propensity]


def ema_decay(steps: float) -> float:
    """Returns the decay of an exponential moving average over about so many steps."""
    return 1 - 1 / max(steps, 1)
