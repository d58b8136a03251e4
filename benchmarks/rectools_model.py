"""RecTools' transformers on the judge's logs, for the programs that `.venv-peers` runs.

Everything as `../shared/bench/peer_rectools.py` has it, but that training sees `train` rows alone, so that
all `val` queries can be asked.
"""

import argparse
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel, SASRecModel
from rectools.models.nn.transformers.ligr import LiGRLayers

from benchmarks.counting import real_events
from benchmarks.places import DATASETS, SHARED_BENCH

COLUMNS = [Columns.User, Columns.Item, Columns.Weight, Columns.Datetime]
KINDS = {"sasrec": SASRecModel, "bert4rec": BERT4RecModel}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the settings of a model, named as in the shared script; the learning rate beside."""
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("--model", default="sasrec", choices=sorted(KINDS))
    parser.add_argument("--layers", default="sasrec", choices=["sasrec", "ligr"])
    parser.add_argument("--loss", default="softmax", choices=["softmax", "BCE", "gBCE", "sampled_softmax"])
    parser.add_argument("--negatives", type=int, default=256)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1, help="of the model, and of the users that are asked")


def events_frame(dataset: str) -> tuple[pd.DataFrame, str]:
    """Returns the judge's events in RecTools' columns, and the protocol of the log."""
    # The package has a judge module of its own, which needs our environment.
    sys.path.insert(0, str(SHARED_BENCH))
    from judge import PROTOCOL, split

    frame = split(dataset).rename(columns={"user_id": Columns.User, "item_id": Columns.Item})
    frame[Columns.Datetime] = pd.to_datetime(np.arange(len(frame)), unit="s")  # the judge's order
    frame[Columns.Weight] = 1.0
    return frame, PROTOCOL[dataset]


def train_rows(frame: pd.DataFrame) -> Dataset:
    """Returns the train events as RecTools takes them."""
    return Dataset.construct(frame.loc[frame.role == "train", COLUMNS])


class Clock(Callback):
    """Counts what is trained with, and the seconds in training alone.

    Attributes:
        events, sequences: so far.
        train_s: so far, from the begin of each epoch to the end of its last batch.
        ends: when each batch ended, and how many events it had.
    """

    def __init__(self, shifted: bool) -> None:
        self.shifted = shifted
        self.events = self.sequences = 0
        self.train_s = 0.0
        self.ends: list[tuple[float, int]] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self._last = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: dict[str, Any], number: int
    ) -> None:
        now = time.perf_counter()
        self.train_s += now - self._last
        self._last = now
        events = real_events(batch["x"], shifted=self.shifted)
        self.ends.append((now, events))
        self.events += events
        self.sequences += len(batch["x"])


def build(options: argparse.Namespace, max_steps: int = -1) -> Any:
    """Returns an unfitted model that trains an epoch a call of `fit_partial`, with a `Clock`."""
    torch.manual_seed(options.seed)
    np.random.seed(options.seed)  # noqa: NPY002 - RecTools draws from the global one

    def trainer() -> Trainer:
        return Trainer(
            max_epochs=1,
            max_steps=max_steps,
            num_sanity_val_steps=0,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Clock(shifted=options.model == "sasrec")],
        )

    extra = {"transformer_layers_type": LiGRLayers} if options.layers == "ligr" else {}
    return KINDS[options.model](
        n_blocks=options.blocks,
        n_heads=options.heads,
        n_factors=options.dim,
        dropout_rate=options.dropout,
        session_max_len=options.length,
        loss=options.loss,
        n_negatives=options.negatives,
        batch_size=options.batch,
        lr=options.learning_rate,
        get_trainer_func=trainer,
        recommend_batch_size=512,
        **extra,
    )


def clock_of(model: Any) -> Clock:
    """Returns the clock of a model that has trained: RecTools trains with a copy of the trainer."""
    return next(c for c in model.fit_trainer.callbacks if isinstance(c, Clock))
