"""A model that is ready to train: what its catalogue says, and its optimizer."""

import functools

import keras
import numpy as np

from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.distribution.steps import ReplicatedStep, SummedAdamW
from tfrec.distribution.workers import Workers
from tfrec.epochs import Epochs
from tfrec.features import feature_values
from tfrec.model import TwoTowerModel
from tfrec.rules import count_rules
from tfrec.schema import FIRST_ROW
from tfrec.sparse_updates import LazyAdamW
from tfrec.spec import ModelSpec


def build_model(dataset: Dataset, settings: Settings, epochs: Epochs) -> TwoTowerModel:
    """Returns a model with the catalogue of a dataset, and the shares of its training targets."""
    spec = ModelSpec.of(settings, dataset)
    model = TwoTowerModel(spec, dtype=settings.training.precision)
    model.build()
    counts = np.bincount(epochs.sequences.item, minlength=spec.items).astype(np.float32)
    counts[:FIRST_ROW] = 0
    features = feature_values(dataset, spec.features, spec.feature_widths)
    model.set_catalogue(counts / max(counts.sum(), 1), features)
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
        )
        model.query_tower.rules.set_rules(*counted)
    return model


def compile_model(
    model: TwoTowerModel, settings: Settings, steps_per_epoch: int, workers: Workers | None = None
) -> None:
    """Sets the optimizer: AdamW, a linear warm-up, then a cosine to 0 at the last step.

    The weights' moving average, where one is asked for, goes over a share of all steps, so that it
    means the same in a short run and in a long one.

    Args:
        model: built.
        settings: of the run.
        steps_per_epoch: of batches of all replicas.
        workers: in whose scope this is called; None: this process alone.
    """
    workers = workers or Workers()
    several = workers.replicas > 1
    s = settings.training
    steps = s.epochs * steps_per_epoch
    warm_up = round(steps * s.warm_up)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up else s.learning_rate,
        decay_steps=max(steps - warm_up, 1),
        warmup_target=s.learning_rate if warm_up else None,
        warmup_steps=warm_up,
    )
    kind = SummedAdamW if several else keras.optimizers.AdamW
    if s.sparse_updates:
        kind = functools.partial(LazyAdamW, tables=item_tables(model))
    optimizer = kind(
        rate,
        beta_2=s.beta_2,
        weight_decay=s.weight_decay,
        global_clipnorm=s.clip_norm,
        use_ema=s.average > 0,
        ema_momentum=ema_decay(s.average * steps),
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "propensity", "constant", "scale", "log_variance"])
    optimizer.build(model.trainable_variables)
    # What replicas send each other is no part of a compiled program: only what each computes by itself is.
    model.compile(optimizer=optimizer, jit_compile=s.xla and not several)
    if several:
        model.replicated = ReplicatedStep(model, xla=s.xla, processes=workers.count)


def item_tables(model: TwoTowerModel) -> list[keras.Variable]:
    """Returns the weights that are learned for each item by itself."""
    towers = model.query_tower, model.candidate_tower
    found = [towers[0].embedding.table, towers[1].bias]
    return found if towers[0].copying is None else [*found, towers[0].copying.propensity]


def ema_decay(steps: float) -> float:
    """Returns the decay of an exponential moving average over about so many steps."""
    return 1 - 1 / max(steps, 1)
