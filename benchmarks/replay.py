"""A log day by day: `python -m benchmarks.replay [--days 6] [--epochs 6] [--seed 1]`.

Of EB-NeRD's reads all up to the end of a day are there to learn from, and those of the day after are asked
for, each by what its user read before; then the day is over, and so on. Four ways to keep up: to go on with
the model of the day before (`tfrec train --from`, one epoch), to train from nothing every day, to keep the
first model, and sequential rules that are counted anew. The last line is one JSON object: NDCG@10 and the
seconds of training by day, and the share of the reads that are of an article that some day before had.

`--record` appends it to `benchmarks/results/replay.jsonl` and draws `docs/images/replay.png`.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import judge
from benchmarks.places import CONFIGS, REPLAY, ROOT, record
from benchmarks.replay_plot import draw
from benchmarks.report import machine, report, versions
from tfrec import metrics
from tfrec.baselines import sequential_rules
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.prediction import Predictor
from tfrec.schema import FIRST_ROW
from tfrec.settings_file import load_settings
from tfrec.trained import TrainedModel
from tfrec.training import train

DAY_S = 86_400
LAST_FULL_DAY = pd.Timestamp("2023-05-24")
GOES_ON, ANEW, FIRST, RULES = "going on", "from nothing", "the first model", "sequential rules"
PICTURE = ROOT / "docs" / "images" / "replay.png"


def main() -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--days", type=int, default=6, help="that are asked for, the last ones of the log")
    parser.add_argument("--epochs", type=int, default=6, help="of a training from nothing")
    parser.add_argument("--rate", type=float, default=0.001, help="the learning rate of going on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    judge.require_judge()
    config = CONFIGS / "ebnerd.yaml"
    anew = load_settings(config, [f"training.epochs={options.epochs}", f"seed={options.seed}"])
    once = ["training.epochs=1", f"training.learning_rate={options.rate}", f"seed={options.seed}"]
    with tempfile.TemporaryDirectory() as scratch:
        by_day = replay(Path(scratch), options.days, anew, load_settings(config, once))
    line = {"machine": machine(), "versions": versions(), "epochs": options.epochs, "rate": options.rate}
    line |= {"seed": options.seed, "days": by_day, "means": means(by_day)}
    if options.record:
        record(REPLAY, line)
        draw(line, PICTURE)
    report(**line)


def replay(folder: Path, days: int, anew: Settings, once: Settings) -> list[dict[str, Any]]:
    """Returns the figures of each day, oldest first."""
    found = []
    for number in range(days):
        day = LAST_FULL_DAY - pd.Timedelta(days=days - 1 - number)
        began = time.perf_counter()
        judge.prepare("ebnerd", folder, change=lambda events, day=day: until(events, day))
        seconds = {"prepare": time.perf_counter() - began}
        trained, seconds[ANEW] = timed(folder, folder / "anew", anew)
        if number:
            # From nothing on the first day alone; `older` is yesterday's.
            model, seconds[GOES_ON] = timed(folder, folder / "today", once, folder / "older")
        else:
            model = trained
            trained.save(new_folder(folder / "first"))
        models = {GOES_ON: model, ANEW: trained, FIRST: TrainedModel.load(folder / "first")}
        line = asked(folder, models)
        model.save(new_folder(folder / "older"))
        line |= {"day": f"{day:%Y-%m-%d}", "seconds": {name: round(s, 1) for name, s in seconds.items()}}
        print(line, file=sys.stderr)
        found.append(line)
    return found


def until(events: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """What is known in the end of a day: its reads are test, those before it train."""
    begin = int(day.timestamp())
    kept = events[events.timestamp < begin + DAY_S]
    return kept.assign(role=np.where(kept.timestamp < begin, "train", "test"))


def timed(
    folder: Path, out: Path, settings: Settings, older: Path | None = None
) -> tuple[TrainedModel, float]:
    """Trains on the dataset of a day, and says in how many seconds."""
    began = time.perf_counter()
    trained = train(folder / "dataset", out, settings, overwrite=True, quiet=True, begin_from=older)
    return trained, time.perf_counter() - began


def new_folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


def asked(folder: Path, models: dict[str, TrainedModel]) -> dict[str, Any]:
    """NDCG@10 of the day's reads by method, and how many there are."""
    dataset = Dataset.load(folder / "dataset")
    at = np.flatnonzero(dataset.sequences.is_role("test"))
    targets = dataset.sequences.item[at]
    answers, found = {RULES: (dataset, sequential_rules)}, {}
    for name, trained in models.items():
        answers[name] = (dataset.in_rows_of(trained.facts), Predictor(trained.model, k=10, quiet=True))
    for name, (queries, answerer) in answers.items():
        rank = metrics.target_rank(answerer(queries, at), queries.sequences.item[at])
        found[name] = round(float(metrics.ndcg(rank, 10).mean()), 5)
    return {"ndcg@10": found, "reads": len(at), "known": round(float((targets >= FIRST_ROW).mean()), 4)}


def means(by_day: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the days but the first, on which going on is training from nothing."""
    later = by_day[1:]
    return {
        "ndcg@10": {
            name: round(float(np.mean([day["ndcg@10"][name] for day in later])), 5)
            for name in by_day[0]["ndcg@10"]
        },
        "seconds": {
            name: round(float(np.mean([day["seconds"][name] for day in later])), 1)
            for name in ("prepare", ANEW, GOES_ON)
        },
    }


if __name__ == "__main__":
    main()
