"""The project's figures and those of the benchmark's judge are the same on the same answers.

The judge and the real logs lie beside the checkout, in `shared/`; where they are not, what needs
them is skipped.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from tfrec.baselines import BASELINES
from tfrec.dataset import Dataset
from tfrec.evaluation import answers_frame, evaluate
from tfrec.evaluation_results import MethodResult
from tfrec.schema import PADDING_ROW, Repeats

NAMES = {"hr": "recall", "ndcg": "ndcg", "mrr": "mrr", "coverage": "coverage"}


def small_log() -> pd.DataFrame:
    """Items 9 and 12 are in no train row, so that their test events cannot be answered."""
    rows = [
        *((1, 10, 100, "train"), (1, 11, 100, "train"), (1, 10, 101, "train"), (1, 12, 102, "test")),
        *(
            (1, 10, 102, "test"),
            (2, 11, 200, "train"),
            (2, 13, 200, "train"),
            (2, 13, 201, "test"),
            (2, 9, 201, "test"),
        ),
    ]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "session_id", "role"])
    events = events.assign(timestamp=np.arange(len(events)) * 1000)
    events.insert(0, "event_id", np.arange(len(events)))
    return events


def small_answers(dataset: Dataset, positions: np.ndarray) -> np.ndarray:
    """Event 3 asks for 12, which is in no train row; 4 for 10, 7 for 13, 8 for 9."""
    raw = [[10, 11, 13], [11, 13, 10], [13, 10, 11], [11]]
    answers = np.full((len(positions), 20), PADDING_ROW, np.int32)
    for query, items in enumerate(raw):
        answers[query, : len(items)] = dataset.items.rows(np.array(items))
    return answers


def test_figures_worked_out_by_hand(dataset_of: Callable[..., Dataset]) -> None:
    dataset = dataset_of(small_log())
    found = evaluate(dataset, {"small": small_answers}).methods["small"]
    # Ranks of the targets: missing, 3, 1, missing.
    assert found.metrics["recall@5"] == 0.5
    assert found.metrics["ndcg@10"] == pytest.approx((0 + 0.5 + 1 + 0) / 4)
    assert found.metrics["mrr@20"] == pytest.approx((0 + 1 / 3 + 1 + 0) / 4)
    assert found.slices["session_event"]["first"]["ndcg@10"] == pytest.approx((0 + 1) / 2)
    assert found.slices["session_event"]["later"]["ndcg@10"] == pytest.approx((0.5 + 0) / 2)
    assert found.metrics["coverage@10"] == 1


def test_the_judge_agrees_on_the_small_log(judge: ModuleType, dataset_of: Callable[..., Dataset]) -> None:
    events = small_log()
    assert_agree(judge, events, dataset_of(events), small_answers)


@pytest.mark.parametrize(("name", "repeats"), [("ebnerd", "anywhere"), ("beauty", "never")])
def test_the_judge_agrees_on_real_logs(
    name: str, repeats: Repeats, judge: ModuleType, shared: Path, dataset_of: Callable[..., Dataset]
) -> None:
    if not (shared / "data" / name).is_dir():
        pytest.skip(f"the log is not there: shared/data/{name} beside the checkout")
    events = judge.split(name)
    dataset = dataset_of(events, repeats=repeats, has_clock=name != "beauty")
    assert_agree(judge, events, dataset, BASELINES["sequential_rules"])


def assert_agree(
    judge: ModuleType,
    events: pd.DataFrame,
    dataset: Dataset,
    answerer: Callable[[Dataset, np.ndarray], np.ndarray],
) -> None:
    """Every figure of the judge stands in the evaluation, equal to the fifth digit."""
    evaluation = evaluate(dataset, {"method": answerer})
    positions = np.flatnonzero(dataset.sequences.is_role("test"))
    figures = judge.score(events, answers_frame(dataset, positions, answerer(dataset, positions)))
    assert figures.pop("queries") == evaluation.queries
    assert figures.pop("answered") == evaluation.queries
    assert figures.pop("cold_targets") == pytest.approx(evaluation.unknown_targets, abs=5.1e-6)
    ours = {name: figure(evaluation.methods["method"], name) for name in figures}
    assert ours == pytest.approx(figures, abs=5.1e-6)


def figure(result: MethodResult, name: str) -> float:
    """Our figure under the judge's name, like `hr@5` or `ndcg@10/first`."""
    metric, _, part = name.partition("/")
    kind, k = metric.split("@")
    metrics = (
        result.slices["session_event"][{"first": "first", "rest": "later"}[part]] if part else result.metrics
    )
    return metrics[f"{NAMES[kind]}@{k}"]
