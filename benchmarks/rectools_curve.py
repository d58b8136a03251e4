"""RecTools' validation NDCG@10 against its seconds of training.

    .venv-peers/bin/python -m benchmarks.rectools_curve DATASET [--minutes M] [--loss …] [--layers ligr]

Trains on `train` rows, and after every epoch asks the `val` queries of at most `--users` users, the same
ones each time (those that tfrec asks with the same seed). Measuring is not counted as training. Prints a
JSON line an epoch, and a last one with the best NDCG@10, the seconds to it, real events and user sequences
a second, and peak memory. An event counts as often as it stands in a sequence that is trained with, after
RecTools' own cut to the length; padding does not count. `--record` appends the lines to
`benchmarks/results/curves.jsonl`; `--answers` writes what the best epoch answers to the `test` queries, for
the judge (`benchmarks.peers --curve` does both).
"""

import argparse
import copy
import logging
import resource
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset

from benchmarks.counting import asked_users, contexts
from benchmarks.curve import Curve, Paced
from benchmarks.rectools_model import COLUMNS, add_options, build, clock_of, events_frame, train_rows

K = 10
ANSWERED = 20
"""answers of a test query, as the judge takes them"""
AT_ONCE = 20_000
"""queries"""


def main() -> None:
    """Trains and measures by turns; ends at the time, the epochs or where it no longer gets better."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add_options(parser)
    parser.add_argument("--minutes", type=float, default=20, help="of training; no epoch begins after")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--patience", type=int, default=10, help="epochs without a better NDCG@10")
    parser.add_argument("--users", type=int, default=2000, help="whose val queries are asked")
    parser.add_argument("--answers", type=Path, help="Parquet file for the answers to the test queries")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    settings = {k: v for k, v in vars(options).items() if k not in ("dataset", "answers", "record")}
    curve = Curve(options.dataset, "rectools", settings, keep=options.record)
    frame, protocol = events_frame(options.dataset)
    never_again = protocol == "leave_one_out"
    model = run(options, curve, frame, never_again)
    if options.answers:
        queries = Queries(frame, frame.role == "test", options.length, never_again)
        queries.answers(model, ANSWERED).to_parquet(options.answers, index=False)
    curve.end(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def run(options: argparse.Namespace, curve: Curve, frame: pd.DataFrame, never_again: bool) -> Any:
    """Adds the points of a training to a curve, and returns the model of the best epoch."""
    val = frame.role == "val"
    users = asked_users(frame.loc[val, Columns.User].to_numpy(), options.users, options.seed)
    queries = Queries(frame, val & frame[Columns.User].isin(users), options.length, never_again)
    train, model = train_rows(frame), build(options)
    events = sequences = train_s = best = 0.0
    best_epoch, weights = 0, {}
    for epoch in range(1, options.epochs + 1):
        model.fit_partial(train, min_epochs=1, max_epochs=1)
        clock = clock_of(model)
        seconds = clock.train_s - train_s
        ndcg = queries.ndcg(model)
        curve.add(
            Paced(
                epoch=epoch,
                train_s=clock.train_s,
                ndcg=ndcg,
                events_per_s=(clock.events - events) / seconds,
                sequences_per_s=(clock.sequences - sequences) / seconds,
            )
        )
        events, sequences, train_s = clock.events, clock.sequences, clock.train_s
        if ndcg > best:
            best, best_epoch = ndcg, epoch
            weights = copy.deepcopy(model.lightning_model.torch_model.state_dict())
        if train_s > 60 * options.minutes or epoch - best_epoch >= options.patience:
            break
    model.lightning_model.torch_model.load_state_dict(weights)
    return model


class Queries:
    """Queries of the judge; each becomes a user of its own.

    Args:
        frame: of `events_frame`.
        asked: [E] bool, the events that are asked for.
        length: events of a context, the newest before the query's.
        never_again: what a user has had is left out of the answers.
    """

    def __init__(self, frame: pd.DataFrame, asked: pd.Series, length: int, never_again: bool) -> None:
        self.stop = frame.event_id.to_numpy()[asked.to_numpy()]
        self.start = frame.groupby(Columns.User).event_id.transform("min").to_numpy()[self.stop]
        self.targets = frame[Columns.Item].to_numpy()[self.stop]
        known = set(frame.loc[frame.role == "train", Columns.Item])
        self.frame = frame
        self.known = frame[Columns.Item].isin(known).to_numpy()
        self.length = length
        self.never_again = never_again

    def ndcg(self, model: Any) -> float:
        """Returns the mean NDCG@10; a query without context scores 0."""
        answers = self.answers(model, K)
        target = self.targets[np.searchsorted(self.stop, answers["event_id"].to_numpy())]
        rank = answers["rank"].to_numpy()[target == answers["item_id"].to_numpy()]
        return float((1 / np.log2(rank + 1.0)).sum() / len(self.targets))

    def answers(self, model: Any, k: int) -> pd.DataFrame:
        """Returns event_id, item_id and rank of the best k items of each query that has a context."""
        parts = [
            model.recommend(
                users=dataset.user_id_map.external_ids,
                dataset=dataset,
                k=k,
                filter_viewed=self.never_again,
                on_unsupported_targets="ignore",
            )
            for dataset in self._contexts()
        ]
        names = {Columns.User: "event_id", Columns.Item: "item_id", Columns.Rank: "rank"}
        return pd.concat(parts).rename(columns=names)[list(names.values())].astype("int64")

    def _contexts(self) -> Iterator[Dataset]:
        for at in range(0, len(self.stop), AT_ONCE):
            stop = self.stop[at : at + AT_ONCE]
            query, row = contexts(self.start[at : at + AT_ONCE], stop, self.length)
            query, row = query[self.known[row]], row[self.known[row]]
            yield Dataset.construct(self.frame.iloc[row].assign(**{Columns.User: stop[query]})[COLUMNS])


if __name__ == "__main__":
    main()
