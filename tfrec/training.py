"""dataset/ -> model/: training with checkpoints, early stopping, and one rename at the end."""

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import keras

from tfrec.building import ready_model
from tfrec.calibration import calibrate
from tfrec.checkpoints import Checkpoints
from tfrec.config import Settings
from tfrec.distribution.portions import read_portions
from tfrec.distribution.shard_files import SharedCheckpoints
from tfrec.distribution.shareable import require_shareable
from tfrec.distribution.summing import parts_of_the_log
from tfrec.distribution.workers import Workers
from tfrec.epochs import Epochs
from tfrec.errors import DataError
from tfrec.feeding import batches_of
from tfrec.folders import whole_folder
from tfrec.pruning import Pruning
from tfrec.ranking_lists import training_impressions
from tfrec.run import Run
from tfrec.trained import TrainedModel
from tfrec.work_folder import unfinished, work_folder

LOGS = "logs"


class TrainOptions(TypedDict, total=False):
    """Further arguments of `train_into`."""

    overwrite: bool
    restart: bool
    quiet: bool
    callbacks: Sequence[keras.callbacks.Callback]
    begin_from: Path | None
    teacher: Path | None
    workers: Workers | None


def train(
    dataset_folder: Path, out: Path, settings: Settings, **options: Unpack[TrainOptions]
) -> TrainedModel:
    """Trains a model as `train_into` does, and returns it as it was written."""
    train_into(dataset_folder, out, settings, **options)
    return TrainedModel.load(out)


def train_into(
    dataset_folder: Path,
    out: Path,
    settings: Settings,
    *,
    overwrite: bool = False,
    restart: bool = False,
    quiet: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    begin_from: Path | None = None,
    teacher: Path | None = None,
    workers: Workers | None = None,
) -> None:
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
        teacher: folder of a model of the same dataset, whose scores it learns to give; None: the log
            alone says what is right.
        workers: who train it together; all call this with the same arguments, in folders that they share.
            None: this process alone.

    Raises:
        DataError: `dataset_folder` is no dataset, `begin_from` or `teacher` no model; `out` exists or
            cannot be written.
        SettingsError: an unfinished run of another dataset or other settings is found; the model to begin
            from is built otherwise; the teacher knows other items; the rows of a batch, pruning or a teacher
            cannot be shared, or tables of items.
        LostWorkerError: another worker is gone; all are to be started again.
    """
    out, workers = Path(out), workers or Workers()
    require_shareable(settings, teacher, workers)
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists already. Name another folder, or say --overwrite.")
    with workers.together():
        others = parts_of_the_log(settings, workers)
        own, dataset = read_portions(dataset_folder, settings, others.index, others.parts)
        older = None if begin_from is None else TrainedModel.load(begin_from)
        taught_by = None if teacher is None else TrainedModel.load(teacher)
        work = unfinished(out)
        if workers.chief:
            work = work_folder(out, settings, dataset, restart, older, taught_by)
        workers.wait()
        keras.utils.set_random_seed(settings.seed)
        impressions = training_impressions(dataset_folder, dataset, settings)
        epochs = Epochs(own, settings, impressions, others)
        del own  # of which the epochs have their train events
        model, shards, kept = ready_model(dataset, settings, epochs, workers, older, taught_by)
        folder = work / "checkpoints"
        run = Run(
            model,
            dataset,
            settings,
            Checkpoints(folder) if shards is None else SharedCheckpoints(folder, shards, workers),
            impressions,
            quiet=quiet,
            workers=workers,
            shards=shards,
        )
        began = time.perf_counter()
        run.resume()
        workers.wait()  # the chief's next checkpoint removes what others may still be reading
        if run.state.epoch < settings.training.epochs and not run.is_over():
            _fit(run, epochs, work, callbacks)
        if workers.chief:
            trained = run.result(dataset, time.perf_counter() - began)
            trained.training["dataset"] = os.path.relpath(dataset_folder, out)
            if kept is not None:
                trained.training["begun_with"] = kept._asdict()
            _write(trained, run, out, overwrite)
        workers.wait()


def _write(trained: TrainedModel, run: Run, out: Path, overwrite: bool) -> None:
    """Calibrates what a run has trained, writes it, and removes what the run kept beside it."""
    if run.shown is not None and len(run.shown):
        calibrate(trained.model, run.dataset, run.shown, quiet=run.quiet)
    work = run.checkpoints.folder.parent
    with whole_folder(out, overwrite=overwrite) as folder:
        trained.save(folder)
        shutil.copytree(work / LOGS, folder / LOGS, dirs_exist_ok=True)
    shutil.rmtree(work)


def _fit(run: Run, epochs: Epochs, work: Path, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Goes on with a run to its last epoch, or to where it no longer gets better.

    Raises:
        DataError: a checkpoint or a log cannot be written.
    """
    last, workers = run.settings.training.epochs, run.workers
    further = list(callbacks)
    if workers.chief:
        further.insert(0, keras.callbacks.TensorBoard(str(work / LOGS), write_graph=False))
    if run.settings.training.sparsity:
        further.insert(0, Pruning(run.trained, run.settings.training, epochs.steps))
    try:
        run.trained.fit(
            batches_of(epochs, run.state.epoch, last, workers),
            initial_epoch=run.state.epoch,
            epochs=last,
            steps_per_epoch=epochs.steps,
            shuffle=False,  # the epochs are shuffled already
            callbacks=[run, *further],
            verbose=0 if run.quiet else 1,
        )
    except OSError as error:
        raise DataError(
            f"writing to {work} failed: {error.strerror}. Make room, then call the same command again: "
            f"it goes on after epoch {run.state.epoch if run.checkpoints.newest() else 0}."
        ) from error
