"""dataset/ -> model/: training with checkpoints, early stopping, and one rename at the end."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfrec.calibration import calibrate
from tfrec.checkpoints import Checkpoints
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.epochs import Batch, Epochs
from tfrec.errors import DataError
from tfrec.features import feature_values
from tfrec.folders import whole_folder
from tfrec.model import TwoTowerModel
from tfrec.ranking_lists import training_impressions
from tfrec.rules import count_rules
from tfrec.run import Run
from tfrec.schema import FIRST_ROW
from tfrec.spec import ModelSpec
from tfrec.trained import TrainedModel
from tfrec.warm_start import begin_with
from tfrec.work_folder import work_folder


def train(
    dataset_folder: Path,
    out: Path,
    settings: Settings,
    *,
    overwrite: bool = False,
    restart: bool = False,
    quiet: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    begin_from: Path | None = None,
) -> TrainedModel:
    """Trains a model on the train events of a dataset, and writes it.

    While it trains, checkpoints and logs are kept beside `out`, in `.NAME.training/`. A run that
    was interrupted goes on from the last checkpoint when called again with the same arguments,
    and ends with the weights that an undisturbed run would have.

    Args:
        dataset_folder: what `tfrec prepare` has written.
        out: the model folder to write, whole or not at all.
        settings: of the run.
        overwrite: replace `out` where it is there.
        restart: begin anew where an unfinished run is found.
        quiet: no progress bars.
        callbacks: further ones of Keras; they see the logs of an epoch after its validation.
        begin_from: folder of a model of an earlier cut of the log, whose weights it begins with; None: with
            weights that are drawn.

    Raises:
        DataError: `dataset_folder` is no dataset, `begin_from` no model; `out` exists or cannot be written.
        SettingsError: an unfinished run of another dataset or other settings is found; the model to begin
            from is built otherwise.
    """
    out = Path(out)
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists already. Name another folder, or say --overwrite.")
    dataset = Dataset.load(dataset_folder)
    older = None if begin_from is None else TrainedModel.load(begin_from)
    work = work_folder(out, settings, dataset, restart, older)
    keras.utils.set_random_seed(settings.seed)
    impressions = training_impressions(dataset_folder, dataset, settings)
    epochs = Epochs(dataset, settings, impressions)
    model = build_model(dataset, settings, epochs)
    kept = None if older is None else begin_with(model, dataset, older)
    compile_model(model, settings, epochs.steps)
    run = Run(model, dataset, settings, Checkpoints(work / "checkpoints"), impressions, quiet=quiet)
    began = time.perf_counter()
    run.resume()
    if run.state.epoch < settings.training.epochs and not run.is_over():
        _fit(run, epochs, work, callbacks)
    trained = run.result(dataset, time.perf_counter() - began)
    if run.shown is not None and len(run.shown):
        calibrate(trained.model, dataset, run.shown, quiet=quiet)
    trained.training["dataset"] = os.path.relpath(dataset_folder, out)
    if kept is not None:
        trained.training["begun_with"] = kept._asdict()
    with whole_folder(out, overwrite=overwrite) as folder:
        trained.save(folder)
        shutil.copytree(work / "logs", folder / "logs", dirs_exist_ok=True)
    shutil.rmtree(work)
    return TrainedModel.load(out)


def _fit(run: Run, epochs: Epochs, work: Path, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Goes on with a run to its last epoch, or to where it no longer gets better.

    Raises:
        DataError: a checkpoint or a log cannot be written.
    """
    last = run.settings.training.epochs
    try:
        run.trained.fit(
            batches_of(epochs, run.state.epoch, last),
            initial_epoch=run.state.epoch,
            epochs=last,
            steps_per_epoch=epochs.steps,
            shuffle=False,  # the epochs are shuffled already
            callbacks=[run, keras.callbacks.TensorBoard(str(work / "logs"), write_graph=False), *callbacks],
            verbose=0 if run.quiet else 1,
        )
    except OSError as error:
        raise DataError(
            f"writing to {work} failed: {error.strerror}. Make room, then call the same command again: "
            f"it goes on after epoch {run.state.epoch if run.checkpoints.newest() else 0}."
        ) from error


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


def compile_model(model: TwoTowerModel, settings: Settings, steps_per_epoch: int) -> None:
    """Sets the optimizer: AdamW, a linear warm-up, then a cosine to 0 at the last step.

    The weights' moving average, where one is asked for, goes over a share of all steps, so that it
    means the same in a short run and in a long one.
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
    optimizer = keras.optimizers.AdamW(
        rate,
        beta_2=s.beta_2,
        weight_decay=s.weight_decay,
        global_clipnorm=s.clip_norm,
        use_ema=s.average > 0,
        ema_momentum=ema_decay(s.average * steps),
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "propensity", "constant", "scale", "log_variance"])
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=s.xla)


def ema_decay(steps: float) -> float:
    """Returns the decay of an exponential moving average over about so many steps."""
    return 1 - 1 / max(steps, 1)


def batches_of(epochs: Epochs, first: int, last: int) -> tf.data.Dataset:
    """All batches of all epochs to come, prepared while the step before them runs."""

    def batches() -> Iterator[Batch]:
        for epoch in range(first, last):
            yield from epochs.batches(epoch)

    signature = tf.nest.map_structure(
        lambda array: tf.TensorSpec(array.shape, array.dtype), next(iter(epochs.batches(0)))
    )
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return data.with_options(options).prefetch(4)
