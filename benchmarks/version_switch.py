"""Requests while the version changes: `python -m benchmarks.version_switch`.

A real server answers many callers while three newer versions appear in its folder, one after the other.
Every score shows the version that it comes from, so that an answer made of two versions would be seen.
The command fails where a request failed, an answer was mixed, or a switch did not happen meanwhile.
"""

import argparse
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load import Load, run_load
from benchmarks.report import report
from benchmarks.requests import random_inputs, to_request
from benchmarks.server_process import serving
from benchmarks.synthetic import VERSION_SCORE, save_version
from benchmarks.synthetic_transformer import TransformerModule
from serving import wire
from serving.loading import load_servable
from serving.tensors import read
from tfrec.progress import track

VERSIONS = (1, 2, 3, 4)
SIZE = {"items": 2000, "width": 32, "max_length": 32, "blocks": 1, "k": 10}
DISTINCT = 16
LONGEST_S = 600.0


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints the figures as the last line of stdout; exits with 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=16)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        folder, stock = Path(place) / "switching", Path(place) / "stock" / "switching"
        for version in VERSIONS:
            save_version(TransformerModule(version, **SIZE), stock if version > 1 else folder)
        first = load_servable(folder / "1")
        requests = [to_request(first, random_inputs(first, 1 + seed % 3, seed)) for seed in range(DISTINCT)]
        with serving(folder, "--poll-interval-s", "0.1") as target:
            load = switch_under_load(target, requests, folder, stock, options)
    figures = judge(load)
    report(**figures)
    wrong = figures["failed"] or figures["mixed"] or figures["requests"] != options.requests
    if wrong or figures["switches"] != len(VERSIONS) - 1:
        print(f"not as it should be: {load.errors[:1] or figures}", file=sys.stderr)
        sys.exit(1)


def switch_under_load(
    target: str, requests: Sequence[bytes], folder: Path, stock: Path, options: Any
) -> Load:
    """Lets each newer version appear when its share of the answers has come."""
    load = Load()
    caller = threading.Thread(
        target=run_load,
        args=(target, requests, options.concurrency, LONGEST_S),
        kwargs={"count": options.requests, "keep_answers": True, "into": load},
    )
    caller.start()
    newer = list(VERSIONS[1:])
    for done in track(_growing(load, caller), "requests", options.requests):
        if newer and done >= options.requests * (newer[0] - 1.5) / len(VERSIONS):
            (stock / str(newer[0])).rename(folder / str(newer[0]))
            newer.pop(0)
    caller.join()
    return load


def _growing(load: Load, caller: threading.Thread) -> Iterator[int]:
    """1, 2, 3 … as the calls end."""
    told = 0
    while caller.is_alive() or told < len(load.latencies) + len(load.errors):
        if told < len(load.latencies) + len(load.errors):
            told += 1
            yield told
        else:
            caller.join(0.01)


def judge(load: Load) -> dict[str, Any]:
    """The figures of a run."""
    by_version: Counter[int] = Counter()
    mixed = 0
    for answer in load.answers:
        response = wire.PredictResponse.FromString(answer)
        version = response.model_spec.version.value
        shown = np.unique(np.round(read(response.outputs["score"]) / VERSION_SCORE))
        mixed += shown.tolist() != [version]
        by_version[version] += 1
    latencies = np.array(load.latencies or [np.nan]) * 1e3
    return {
        "requests": len(load.latencies) + len(load.errors),
        "failed": len(load.errors),
        "mixed": mixed,
        "switches": len(by_version) - 1,
        "answers_by_version": {str(version): by_version[version] for version in sorted(by_version)},
        "seconds": round(load.seconds, 1),
        "p50_ms": round(float(np.percentile(latencies, 50)), 2),
        "p99_ms": round(float(np.percentile(latencies, 99)), 2),
        "slowest_ms": round(float(latencies.max()), 2),
    }


if __name__ == "__main__":
    main()
