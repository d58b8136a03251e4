"""The quickstart measured: its time and memory, and its model on the judge's test queries.

    python -m benchmarks.quickstart [--folder quickstart]

Runs `tfrec quickstart` in a process of its own (wall time, largest resident memory of that process as the
operating system accounts for it), then lets the model answer the test queries of
`../shared/bench/judge.py` for completejourney, and calls the judge on the answers. Where the
folder holds a finished quickstart, only what was left to do is timed, and `complete_run` is false.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import report

JUDGE = Path(__file__).resolve().parents[2] / "shared" / "bench" / "judge.py"
DATASET = "completejourney"
MB = 1024


def main() -> None:
    """Measures, and prints one JSON object as the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("quickstart"))
    folder = parser.parse_args().folder
    if not JUDGE.exists():
        sys.exit(
            f"the judge is not on this machine: expected {JUDGE.name} in ../shared/bench beside the checkout"
        )
    figures = {"complete_run": not (folder / "dataset").exists()} | run_quickstart(folder)
    report(**figures, **judged(folder / "model"))


def run_quickstart(folder: Path) -> dict[str, float]:
    """Runs the command; its output goes to stderr."""
    began = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "from tfrec.cli import main; main()",
        "quickstart",
        "--folder",
        str(folder),
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / MB
    return {"seconds": round(seconds, 1), "peak_mb": round(peak)}


def judged(model_folder: Path) -> dict[str, float]:
    """Returns the judge's metrics of a model's answers to its test queries."""
    import numpy as np

    import data_prep
    from tfrec.dataset import Dataset
    from tfrec.evaluation import answers_frame
    from tfrec.prediction import Predictor
    from tfrec.trained import TrainedModel

    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        subprocess.run(
            [sys.executable, str(JUDGE), "split", DATASET, str(work)], check=True, stdout=sys.stderr
        )
        data_prep.prepare("judge", [work / "events.parquet"], work / "dataset")
        trained = TrainedModel.load(model_folder)
        queries = Dataset.load(work / "dataset").in_rows_of(trained.facts)
        at = np.flatnonzero(queries.sequences.is_role("test"))
        answers = answers_frame(queries, at, Predictor(trained.model)(queries, at))
        answers.to_parquet(work / "answers.parquet", index=False)
        command = [sys.executable, str(JUDGE), "score", DATASET, str(work / "answers.parquet")]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
