"""The quickstart measured: its time and memory, and its model on the judge's test queries.

    python -m benchmarks.quickstart [--folder quickstart]

Runs `tfrec quickstart` in a process of its own (wall time, largest resident memory of that process as the
operating system accounts for it), then lets the model answer the test queries of `../shared/bench/judge.py`
for completejourney in two stages, as it is served, and by retrieval alone, and calls the judge on them.
Where the folder holds a finished quickstart, only what was left to do is timed, and `complete_run` is false.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import judge
from benchmarks.report import report
from tfrec.dataset import Dataset
from tfrec.trained import TrainedModel
from tfrec.two_stage_prediction import TwoStagePredictor, nothing_known

DATASET = "completejourney"


def main() -> None:
    """Measures, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--folder", type=Path, default=Path("quickstart"))
    folder = parser.parse_args().folder
    judge.require_judge()
    figures = {"complete_run": not (folder / "dataset").exists()} | run_quickstart(folder)
    trained = TrainedModel.load(folder / "model")
    with tempfile.TemporaryDirectory() as scratch:
        # The quickstart's requests say what was bought, not how many and at which price.
        judge.prepare(DATASET, Path(scratch), strength=False)
        queries = Dataset.load(Path(scratch) / "dataset").in_rows_of(trained.facts)
        alone = judge.score(DATASET, trained.model, queries, Path(scratch))
        predictor = TwoStagePredictor(trained.model, trained.settings, queries, nothing_known)
        found = judge.score_predictor(DATASET, predictor, queries, Path(scratch), "test")
        report(**figures, **found, retrieval_alone={name: alone[name] for name in ("ndcg@10", "hr@10")})


def run_quickstart(folder: Path) -> dict[str, float]:
    """Runs the command; its output goes to stderr."""
    began = time.perf_counter()
    program = [sys.executable, "-c", "from tfrec.cli import main; main()"]
    subprocess.run([*program, "quickstart", "--folder", str(folder)], check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"seconds": round(seconds, 1), "peak_mb": round(peak)}


if __name__ == "__main__":
    main()
