"""What a second stage gives: `python -m benchmarks.two_stages DATASET [--seed N]`.

On the judge's queries of `ebnerd` or `completejourney`: a model that learns to retrieve alone, and one that
learns a task of ranking beside it (which items the session goes on to, from impressions made of the log
itself), by retrieval and in two stages. The exponent of the task's probability in
`retrieval * next ** EXPONENT` is chosen on val. The last line is one JSON object with NDCG@10 and HR@10 of
each, and the metrics of the task; `--record` appends it to `benchmarks/results/two_stages.jsonl`.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import judge
from benchmarks.known_at import KnownAt
from benchmarks.places import CONFIGS, TWO_STAGES, record
from benchmarks.report import machine, report, versions
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.errors import TfrecError
from tfrec.impressions import Impressions
from tfrec.ranking_evaluation import evaluate_ranking
from tfrec.settings_file import load_settings
from tfrec.trained import TrainedModel
from tfrec.training import train
from tfrec.two_stage_prediction import TwoStagePredictor

TASK, EVENT = "next", "event"
"""The judge's logs have one type of event."""
WEIGHT = 0.05
"""Of the ranking loss: that of a made list is a sum over the catalogue, some ten times that of an event."""
SHARE = 0.15
"""Of the made lists, an epoch."""
EXPONENTS = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
KEPT = ("ndcg@10", "hr@10")


def main(arguments: list[str] | None = None) -> None:
    """Runs, and prints one JSON object as the last line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("dataset", choices=["ebnerd", "completejourney"])
    parser.add_argument("--config", type=Path, help="default: configs/DATASET.yaml")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--negatives", type=int, default=30, help="items drawn for each list")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="a setting, as a.b=c")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args(arguments)
    judge.require_judge()
    try:
        line = {"machine": machine(), "versions": versions(), **run(options)}
    except TfrecError as error:
        sys.exit(f"Error: {error}")
    if options.record:
        record(TWO_STAGES, line)
    report(**line)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Prepares, trains both models, and returns the figures."""
    config = options.config or CONFIGS / f"{options.dataset}.yaml"
    tasks = [f"ranking.tasks={{{TASK}: {{label: {EVENT}}}}}", f"ranking.weight={WEIGHT}"]
    # Made lists teach the towers nothing that retrieval does not, and each takes an event's place in a row.
    tasks += ["ranking.into_towers=false", f"ranking.share={SHARE}"]
    overrides = [*options.overrides, f"seed={options.seed}"]
    alone, joint = load_settings(config, overrides), load_settings(config, [*tasks, *overrides])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        judge.prepare(options.dataset, folder, sampled_impressions={"negatives": options.negatives})
        found: dict[str, Any] = {}
        for name, settings in {"retrieval alone": alone, "joint": joint}.items():
            trained = train(folder / "dataset", folder / "model", settings, overwrite=True)
            queries = Dataset.load(folder / "dataset").in_rows_of(trained.facts)
            found[name] = kept(judge.score(options.dataset, trained.model, queries, folder))
            print(f"{name}: {found[name]}", file=sys.stderr)
        found |= two_stages(options.dataset, folder, trained, joint, queries)
    return {
        "dataset": options.dataset,
        "seed": options.seed,
        "settings": joint.model_dump(mode="json"),
        **found,
        "joint ratio": round(found["joint"]["ndcg@10"] / found["retrieval alone"]["ndcg@10"], 4),
        "two stages ratio": round(found["two stages"]["ndcg@10"] / found["joint"]["ndcg@10"], 4),
    }


def two_stages(
    dataset: str, folder: Path, trained: TrainedModel, settings: Settings, queries: Dataset
) -> dict[str, Any]:
    """Chooses the exponent on val, and answers the test queries with it."""
    known = KnownAt(queries, tuple(s.name for s in trained.model.spec.statistics))

    def score(exponent: float, role: str) -> dict[str, float]:
        answers = settings.answers.model_copy(update={"formula": f"retrieval * {TASK} ** {exponent}"})
        chosen = settings.model_copy(update={"answers": answers})
        predictor = TwoStagePredictor(trained.model, chosen, queries, known)
        return kept(judge.score_predictor(dataset, predictor, queries, folder, role))

    on_val = {exponent: score(exponent, "val")["ndcg@10"] for exponent in EXPONENTS}
    best = max(on_val, key=lambda exponent: on_val[exponent])
    shown = Impressions.load(folder / "dataset", queries)
    tasks = evaluate_ranking(trained.model, queries, shown, "test").tasks
    return {
        "two stages": score(best, "test"),
        "exponent": best,
        "on val": {str(exponent): value for exponent, value in on_val.items()},
        "task": {name: round(value, 5) for name, value in tasks[TASK].metrics.items()},
    }


def kept(figures: dict[str, float]) -> dict[str, float]:
    """The figures that are told."""
    return {name: figures[name] for name in KEPT}


if __name__ == "__main__":
    main()
