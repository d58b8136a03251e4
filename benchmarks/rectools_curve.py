"""RecTools' validation NDCG@10 against its seconds of training.

    .venv-peers/bin/python -m benchmarks.rectools_curve DATASET [--minutes M] [--loss …] [--layers ligr]

Trains on `train` rows, and after every epoch asks the `val` queries of at most `--users` users, the same
ones each time (those that tfrec asks with the same seed). Measuring is not counted as training. Prints a
JSON line an epoch, and a last one with the best NDCG@10, the seconds to it, real events and user sequences
a second, and peak memory. An event counts as often as it stands in a sequence that is trained with, after
RecTools' own cut to the length; padding does not count. `--record` appends the lines to
`benchmarks/results/curves.jsonl`.
"""

import argparse
import logging
import resource
import warnings
from typing import Any

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset

from benchmarks.counting import asked_users, contexts
from benchmarks.curve import Curve, Point
from benchmarks.rectools_model import COLUMNS, add_options, build, clock_of, events_frame, train_rows

K = 10


def main() -> None:
    """Trains and measures by turns; ends at the time, the epochs or where it no longer gets better."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    add_options(parser)
    parser.add_argument("--minutes", type=float, default=20, help="of training; no epoch begins after")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--patience", type=int, default=10, help="epochs without a better NDCG@10")
    parser.add_argument("--users", type=int, default=2000, help="whose val queries are asked")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    settings = {k: v for k, v in vars(options).items() if k not in ("dataset", "record")}
    curve = Curve(options.dataset, "rectools", settings, keep=options.record)
    run(options, curve)
    curve.end(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def run(options: argparse.Namespace, curve: Curve) -> None:
    """Adds the points of a training to a curve."""
    frame, protocol = events_frame(options.dataset)
    queries = Queries(frame, options, never_again=protocol == "leave_one_out")
    train, model = train_rows(frame), build(options)
    events = sequences = train_s = best = 0.0
    best_epoch = 0
    for epoch in range(1, options.epochs + 1):
        model.fit_partial(train, min_epochs=1, max_epochs=1)
        clock = clock_of(model)
        seconds = clock.train_s - train_s
        ndcg = queries.ndcg(model)
        curve.add(
            Point(
                epoch=epoch,
                train_s=clock.train_s,
                events_per_s=(clock.events - events) / seconds,
                sequences_per_s=(clock.sequences - sequences) / seconds,
                ndcg=ndcg,
            )
        )
        events, sequences, train_s = clock.events, clock.sequences, clock.train_s
        if ndcg > best:
            best, best_epoch = ndcg, epoch
        if train_s > 60 * options.minutes or epoch - best_epoch >= options.patience:
            return


class Queries:
    """The val queries that are asked after each epoch; each becomes a user of its own.

    Args:
        frame: of `events_frame`.
        options: `users`, `seed`, and the `length` of a context.
        never_again: what a user has had is left out of the answers.
    """

    def __init__(self, frame: pd.DataFrame, options: argparse.Namespace, never_again: bool) -> None:
        val = frame[frame.role == "val"]
        users = asked_users(val[Columns.User].to_numpy(), options.users, options.seed)
        asked = val[val[Columns.User].isin(users)]
        stop = asked.event_id.to_numpy()
        start = frame.groupby(Columns.User).event_id.transform("min").to_numpy()[stop]
        query, row = contexts(start, stop, options.length)
        known = set(frame.loc[frame.role == "train", Columns.Item])
        context = frame.iloc[row].assign(**{Columns.User: query})
        self.context = Dataset.construct(context.loc[context[Columns.Item].isin(known), COLUMNS])
        self.users = self.context.user_id_map.external_ids
        self.targets = asked[Columns.Item].to_numpy()
        self.never_again = never_again

    def ndcg(self, model: Any) -> float:
        """Returns the mean NDCG@10; a query without context scores 0."""
        answers = model.recommend(
            users=self.users,
            dataset=self.context,
            k=K,
            filter_viewed=self.never_again,
            on_unsupported_targets="ignore",
        )
        hits = answers[self.targets[answers[Columns.User].to_numpy()] == answers[Columns.Item].to_numpy()]
        return float((1 / np.log2(hits[Columns.Rank].to_numpy() + 1.0)).sum() / len(self.targets))


if __name__ == "__main__":
    main()
