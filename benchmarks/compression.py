"""What smaller models cost and save: `python -m benchmarks.compression [--dataset beauty] [--record]`.

Trains the log's tuned model and smaller ones (rows of ids that items share, pruned, fewer dimensions, these
with a teacher), exports them, and some in other precisions, and prints of each servable its size on disk and
packed, the milliseconds of a request, and NDCG@10 on the judge's test queries, asked over gRPC. Timings take
turns; each model is one run. `--folder` keeps the models, and a run that was broken off goes on with those
that are there. The last line of stdout is JSON.
"""

import argparse
import gzip
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks import judge
from benchmarks.asking import query_of
from benchmarks.places import COMPRESSION, CONFIGS, record
from benchmarks.report import machine, report, versions
from benchmarks.requests import random_inputs
from benchmarks.server_process import server_process
from serving.client import Recommender
from serving.loading import Servable, load_servable
from tfrec.export import Precision, export
from tfrec.metrics import ndcg, target_rank
from tfrec.progress import track
from tfrec.settings_file import load_settings
from tfrec.trained import MODEL_FILE
from tfrec.training import train

K = 10
AT_ONCE = 32
ROUNDS, CALLS = 15, 20


@dataclass(frozen=True)
class Smaller:
    """A way to make a model smaller.

    Attributes:
        name: what the table calls it.
        set: settings of `tfrec train`; none: the full model's.
        taught: whether the full model is its teacher.
        precision: of `tfrec export`.
    """

    name: str
    set: tuple[str, ...] = ()
    taught: bool = False
    precision: Precision = "float32"

    @property
    def model(self) -> str:
        """The model's folder; those that differ by their export alone share it."""
        return "_".join(("model", *self.set, *(["taught"] if self.taught else []))).replace("=", "-")


HALF, QUARTER = "model.dimensions=32", "model.dimensions=16"
WAYS = (
    Smaller("full"),
    Smaller("float16 candidates", precision="float16"),
    Smaller("bfloat16 candidates", precision="bfloat16"),
    Smaller("int8", precision="int8"),
    Smaller("half of the numbers 0", ("training.sparsity=0.5",)),
    Smaller("0.8 of the numbers 0", ("training.sparsity=0.8",)),
    Smaller("ids in 1/8 of the rows, quotient-remainder", ("model.id_table=quotient_remainder",)),
    Smaller("ids in 1/8 of the rows, hashed", ("model.id_table=hashed",)),
    Smaller("32 dimensions", (HALF,)),
    Smaller("32 dimensions, taught", (HALF,), taught=True),
    Smaller("32 dimensions, taught, int8", (HALF,), taught=True, precision="int8"),
    Smaller("16 dimensions", (QUARTER,)),
    Smaller("16 dimensions, taught", (QUARTER,), taught=True),
)


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints a table to stderr, and the figures as the last line of stdout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="beauty", choices=judge.DATASETS)
    parser.add_argument(
        "--set", action="append", default=[], dest="overrides", help="a setting of all models"
    )
    parser.add_argument("--folder", type=Path, help="where to keep dataset, models and servables")
    parser.add_argument("--queries", type=int, help="test queries at most; by default all")
    parser.add_argument(
        "--record", action="store_true", help="append to benchmarks/results/compression.jsonl"
    )
    options = parser.parse_args(arguments)
    judge.require_judge()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "dataset").exists():
            judge.prepare(options.dataset, folder)
        servables = {way.name: make(way, folder, options) for way in WAYS}
        rows = measure(servables, folder, options.queries)
    _print_table(rows)
    figures = {"dataset": options.dataset, "overrides": options.overrides, "servables": rows}
    if options.record:
        record(COMPRESSION, {"machine": machine(), "versions": versions(), **figures})
    report(**figures)


def make(way: Smaller, folder: Path, options: argparse.Namespace) -> Path:
    """Returns the version folder of a servable, and trains its model where it is not there yet."""
    model = folder / way.model
    if not (model / MODEL_FILE).exists():
        settings = load_settings(CONFIGS / f"{options.dataset}.yaml", [*options.overrides, *way.set])
        teacher = folder / WAYS[0].model if way.taught else None
        train(folder / "dataset", model, settings, teacher=teacher)
    name = "".join(letter if letter.isalnum() else "_" for letter in way.name)
    return export(model, folder / "servables" / name, precision=way.precision)


def measure(servables: dict[str, Path], folder: Path, most: int | None) -> list[dict[str, Any]]:
    """A row of figures of each servable."""
    latencies = milliseconds({name: load_servable(path) for name, path in servables.items()})
    rows = []
    for name, path in servables.items():
        files = [path / "saved_model.pb", *sorted((path / "variables").iterdir())]
        row = {
            "servable": name,
            "mb": round(sum(file.stat().st_size for file in files) / 1e6, 2),
            "packed_mb": round(sum(len(gzip.compress(file.read_bytes(), 6)) for file in files) / 1e6, 2),
            "ms": round(latencies[name], 2),
            "ndcg_at_10": round(ndcg_of(path, folder, most), 5),
        }
        row["ndcg_to_full"] = round(row["ndcg_at_10"] / (rows[0] if rows else row)["ndcg_at_10"], 3)
        rows.append(row)
    return rows


def milliseconds(servables: dict[str, Servable]) -> dict[str, float]:
    """Of a direct call of `recommend` for one user of full length: the median of rounds that take turns."""
    inputs = {name: random_inputs(servable, 1, seed=0) for name, servable in servables.items()}
    taken: dict[str, list[float]] = {name: [] for name in servables}
    for _ in track(range(ROUNDS), "latency", ROUNDS):
        for name, servable in servables.items():
            servable.run("recommend", inputs[name])
            began = time.perf_counter()
            for _ in range(CALLS):
                servable.run("recommend", inputs[name])
            taken[name].append((time.perf_counter() - began) / CALLS * 1e3)
    return {name: statistics.median(values) for name, values in taken.items()}


def ndcg_of(version: Path, folder: Path, most: int | None) -> float:
    """NDCG@10 of a served version on the test events of the judge."""
    events = pd.read_parquet(folder / judge.EVENTS)
    at = np.flatnonzero(events["role"].to_numpy() == "test")[:most]
    targets = events["item_id"].to_numpy()[at]
    servable = load_servable(version).info
    found = np.full((len(at), K), -1, np.int64)
    with (
        server_process("serve", version.parent) as server,
        Recommender(
            server.target, model=servable.name, timeout_s=120, clock=servable.has_clock
        ) as recommender,
    ):
        begins = range(0, len(at), AT_ONCE)
        for begin in track(begins, version.parent.name, len(begins)):
            places = at[begin : begin + AT_ONCE]
            queries = [
                query_of(events, place, servable.max_length, None, servable.session_from == "id")
                for place in places
            ]
            for row, answer in enumerate(recommender.recommend_many(queries, K), begin):
                found[row, : len(answer)] = [int(one.item) for one in answer]
    return float(ndcg(target_rank(found, targets), K).mean())


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Smaller models")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), justify="left" if column == "servable" else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(stderr=True, width=140).print(table)


if __name__ == "__main__":
    main()
