"""A training run: what happens between its epochs."""

import contextlib
import platform
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import tfrec
from tfrec.checkpoints import Checkpoints, RunState
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.distribution.sharded_answers import ShardedPredictor
from tfrec.distribution.shards import Shards
from tfrec.distribution.workers import Workers
from tfrec.impressions import Impressions
from tfrec.layers.seeds import set_seeds
from tfrec.metrics import ndcg, target_rank
from tfrec.model import TwoTowerModel
from tfrec.prediction import Predictor
from tfrec.pruning import prune
from tfrec.ranking_metrics import auc
from tfrec.ranking_prediction import RankingPredictor
from tfrec.trained import TrainedModel
from tfrec.validation import validation_impressions, validation_positions

MONITOR = "val_ndcg@10"
RANKING_MONITOR = "val_auc"
"""Of the first task, the mean over val impressions."""
SECONDS = "train_s"
"""In the history: seconds in the steps of an epoch, compilation included, validation not."""


class Run(keras.callbacks.Callback):
    """Validates, keeps the best weights, stops early, and writes a checkpoint after every epoch.

    Args:
        model: compiled.
        dataset: its val events are asked after each epoch, of `validation_users` users at most.
        settings: of the run.
        checkpoints: where they go.
        impressions: of the dataset, for tasks of ranking; None without.
        quiet: no progress bars.
        workers: who train it together; each asks a part of what is asked after an epoch, the chief writes.
        shards: this worker's rows of the tables of items, where they lie apart; then all ask everything, each
            among its own rows.
    """

    def __init__(
        self,
        model: TwoTowerModel,
        dataset: Dataset,
        settings: Settings,
        checkpoints: Checkpoints,
        impressions: Impressions | None = None,
        *,
        quiet: bool = False,
        workers: Workers | None = None,
        shards: Shards | None = None,
    ) -> None:
        super().__init__()
        self.trained = model
        self.dataset = dataset
        self.settings = settings
        self.checkpoints = checkpoints
        self.quiet = quiet
        self.workers = workers or Workers()
        self.shards = shards
        self.state = RunState()
        self._keep_best()
        self.positions = validation_positions(dataset, settings)
        if shards is None:
            self.predictor = Predictor(model, k=10, quiet=quiet)
        else:
            self.predictor = ShardedPredictor(model, shards, self.workers, k=10, quiet=quiet)
        self.shown = None
        if impressions is not None:
            self.shown = impressions.take(validation_impressions(impressions, settings))
            self.ranking_predictor = RankingPredictor(model, quiet=quiet)
        self.monitor = MONITOR if settings.ranking.retrieval else RANKING_MONITOR

    @property
    def variables(self) -> list[Any]:
        """All that a step depends on: of the model and of the optimizer."""
        return [*self.trained.weights, *self.trained.optimizer.variables]

    def resume(self) -> None:
        """Goes back to the newest checkpoint, if there is one."""
        found = self.checkpoints.load(self.variables)
        if found:
            self.state, self.best = found

    def is_over(self) -> bool:
        """Whether early stopping has ended the run: `patience` epochs without a better metric."""
        waited = self.state.epoch - self.state.best_epoch
        return self.state.best is not None and waited >= self.settings.training.patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch_began = time.perf_counter()
        set_seeds(self.trained, self.settings.seed, epoch, self.workers.shares)
        self.trained.set_pretraining(epoch < self.settings.training.pretraining_epochs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        logs[SECONDS] = time.perf_counter() - self.epoch_began
        self.trained.set_pretraining(False)
        with self._averaged():
            logs |= self._validation()
            # Without val events every epoch is the best so far.
            found = logs.get(self.monitor)
            better = self.state.best is None or found is None or found > self.state.best
            if better:
                self._keep_best()
        state = RunState(
            epoch=epoch + 1,
            best=logs.get(self.monitor) if better else self.state.best,
            best_epoch=epoch + 1 if better else self.state.best_epoch,
            history=[*self.state.history, {name: float(value) for name, value in logs.items()}],
        )
        if self.workers.chief or self.shards is not None:
            self.checkpoints.save(state, self.variables, self.best)
        self.state = state
        self.trained.stop_training = self.is_over()

    def _keep_best(self) -> None:
        self.best = [w.numpy() for w in self.trained.weights]
        if self.shards is not None:
            self.shards.keep_best()

    def _validation(self) -> dict[str, float]:
        """What the val events and impressions say of the weights."""
        found = {}
        if len(self.positions) and self.settings.ranking.retrieval:
            positions = self.positions if self.shards is not None else self.workers.part(self.positions)
            answers = self.predictor(self.dataset, positions)
            targets = self.dataset.sequences.item[positions]
            found[MONITOR] = self.workers.mean(ndcg(target_rank(answers, targets), 10))
        if self.shown is not None and len(self.shown):
            shown = self.shown.take(self.workers.part(np.arange(len(self.shown))))
            probabilities = self.ranking_predictor(self.dataset, shown)
            task = next(iter(self.settings.ranking.tasks.values()))
            within = auc(probabilities[:, 0], shown.labels[task.label], shown.offsets)
            mean = self.workers.mean(within[np.isfinite(within)])
            if np.isfinite(mean):
                found[RANKING_MONITOR] = mean
        return found

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Inside, the model has the averaged weights, pruned, where the settings ask for it."""
        s, trained = self.settings.training, self.trained.trainable_variables
        if not s.average and not s.sparsity:
            yield
            return
        now = [v.numpy() for v in trained]
        if s.average:
            self.trained.optimizer.finalize_variable_values(trained)
        if s.sparsity:
            prune(trained, s.sparsity)
        with contextlib.nullcontext() if self.shards is None else self.shards.averaged():
            yield
        for variable, value in zip(trained, now, strict=True):
            variable.assign(value)

    def result(self, dataset: Dataset, seconds: float) -> TrainedModel:
        """Returns the model with the best weights, without its optimizer."""
        model = TwoTowerModel(self.trained.spec, dtype=self.settings.training.precision)
        model.build()
        self.checkpoints.give_best(model, self.best)
        facts = {
            "epochs": self.state.epoch,
            "best_epoch": self.state.best_epoch,
            "monitor": self.monitor,
            self.monitor: self.state.best,
            "seconds_of_last_run": round(seconds, 1),
            "parameters": int(model.count_params()),
            "history": self.state.history,
            "written_by": {
                "tfrec": tfrec.__version__,
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "python": platform.python_version(),
            },
        }
        return TrainedModel(model=model, settings=self.settings, facts=dataset, training=facts)
