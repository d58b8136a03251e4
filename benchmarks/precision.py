"""What half precision of the candidates costs a model: `python -m benchmarks.precision MODEL`.

The test queries are answered by exact search over candidates of each precision: NDCG@10, the share of the
ten answers that are those of full precision, and the milliseconds of one search for one query on this
machine, over the model's candidates or over as many made-up ones as `--items` says.
"""

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.report import report
from tfrec.coarse_index import half_index
from tfrec.dataset import Dataset
from tfrec.graph_index import ExactIndex
from tfrec.metrics import ndcg, target_rank
from tfrec.prediction import Predictor
from tfrec.trained import TrainedModel

K = 10
CALLS = 20


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints a table to stderr, and the figures as the last line of stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="what `tfrec train` has written")
    parser.add_argument("--dataset", type=Path, help="default: the one it was trained on")
    parser.add_argument("--k", type=int, default=100, help="items in an answer of the servable")
    parser.add_argument("--items", type=int, help="made-up candidates to time a search over")
    options = parser.parse_args(arguments)
    trained = TrainedModel.load(options.model)
    folder = options.dataset or trained.dataset_folder(options.model)
    dataset = Dataset.load(folder).in_rows_of(trained.facts)
    figures = measure(trained, dataset, options.k, options.items)
    _print_table(figures)
    searched = options.items or len(trained.facts.catalogue)
    report(
        model=options.model.name,
        items=len(trained.facts.catalogue),
        items_searched=searched,
        precisions=figures,
    )


def measure(trained: TrainedModel, dataset: Dataset, k: int, items: int | None) -> list[dict[str, Any]]:
    """A row of figures a precision; a number of `items` has searches timed over as many made-up ones."""
    positions = np.flatnonzero(dataset.sequences.is_role("test"))
    targets = dataset.sequences.item[positions]
    # As an export has it: what a sequence may bar is found besides.
    retrieve = k + 2 * trained.model.spec.settings.max_length
    table = trained.model.candidate_tower.table()
    timed = table if items is None else tf.random.stateless_normal([items, int(table.shape[1])], [0, 1])
    figures: list[dict[str, Any]] = []
    full = np.empty(0)
    for precision in ("float32", "bfloat16", "float16"):
        make: Callable[[tf.Tensor], Any] = ExactIndex
        if precision != "float32":
            make = functools.partial(half_index, retrieve=retrieve, precision=precision)
        answers = Predictor(trained.model, K, index=make)(dataset, positions)
        full = full if full.size else answers
        shared = [len(np.intersect1d(a, b)) / len(np.unique(b)) for a, b in zip(answers, full, strict=True)]
        figures.append(
            {
                "precision": precision,
                "queries": len(positions),
                "ndcg_at_10": round(float(ndcg(target_rank(answers, targets), K).mean()), 5),
                "overlap_at_10": round(float(np.mean(shared)), 5),
                "candidates_mb": round(table.shape.num_elements() * tf.as_dtype(precision).size / 2**20, 4),
                "search_ms": round(_search_ms(make(timed), int(table.shape[1])), 3),
            }
        )
    return figures


def _search_ms(index: Any, width: int) -> float:
    """The fastest of some searches for one query: what else the machine does only makes them slower."""
    query = tf.constant(np.random.default_rng(0).normal(size=(1, width)), tf.float32)
    nothing = tf.zeros([1, 1], tf.int32)
    search = tf.function(lambda: index.answer(query, nothing, None, nothing, K))
    search()
    taken = []
    for _ in range(CALLS):
        began = time.perf_counter()
        search()[1].numpy()
        taken.append(time.perf_counter() - began)
    return min(taken) * 1e3


def _print_table(figures: list[dict[str, Any]]) -> None:
    table = Table(title="Candidates of half precision beside full")
    for column in figures[0]:
        table.add_column(column.replace("_", " "), justify="right")
    for row in figures:
        table.add_row(*map(str, row.values()))
    Console(stderr=True).print(table)


if __name__ == "__main__":
    main()
