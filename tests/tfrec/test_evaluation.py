"""Evaluation: what is measured, what is refused, what is written."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tfrec.baselines import BASELINES
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.evaluation import answers_frame, evaluate
from tfrec.evaluation_report import show
from tfrec.evaluation_results import Evaluation
from tfrec.schema import PADDING_ROW

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def dataset(dataset_of: Callable[..., Dataset]) -> Dataset:
    """Two users; four test queries, the last of which asks for an item that train does not know."""
    rows = [
        (1, "a", 0, "train"),
        (1, "b", 0, "train"),
        (1, "a", 1, "train"),
        (1, "a", 2, "test"),
        (1, "c", 2, "test"),
        (2, "c", 0, "train"),
        (2, "c", 0, "test"),
        (2, "ü new", 0, "test"),
    ]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "session_id", "role"])
    return dataset_of(events.assign(timestamp=np.arange(len(rows)) * 100))


def oracle(dataset: Dataset, positions: np.ndarray) -> np.ndarray:
    """Knows every target that can be known, and puts it second."""
    answers = np.zeros((len(positions), 20), np.int32)
    answers[:, 1] = np.where(dataset.sequences.item[positions] > 1, dataset.sequences.item[positions], 2)
    answers[:, 0] = np.where(answers[:, 1] == 2, 3, 2)
    return answers


def test_figures_of_known_answers(dataset: Dataset) -> None:
    evaluation = evaluate(dataset, {"oracle": oracle})
    found = evaluation.methods["oracle"]
    assert (evaluation.queries, evaluation.items, evaluation.unknown_targets) == (4, 3, 0.25)
    # Three of four targets stand in the second place; the fourth cannot be found, and counts.
    assert found.metrics["recall@5"] == found.metrics["recall@20"] == 0.75
    assert found.metrics["ndcg@10"] == pytest.approx(0.75 / np.log2(3))
    assert found.metrics["mrr@10"] == pytest.approx(0.375)
    assert found.metrics["coverage@10"] == 1
    # Half of the places hold a, with 2 of 4 train events (1 bit); the others b or c, with one each (2 bits).
    assert found.metrics["novelty@10"] == pytest.approx(1.5)
    assert evaluation.slice_queries["session_event"] == {"first": 1, "later": 3}
    assert found.slices["session_event"]["first"]["recall@5"] == 1
    assert found.slices["session_event"]["later"]["recall@5"] == pytest.approx(2 / 3)
    assert evaluation.slice_queries["history_sessions"] == {"0": 2, "2-3": 2}
    assert found.slices["history_sessions"]["0"]["mrr@5"] == pytest.approx(0.25)


def test_the_folder_holds_figures_answers_and_pictures(dataset: Dataset, tmp_path: Path) -> None:
    evaluation = evaluate(dataset, {"oracle": oracle, **BASELINES}, tmp_path / "evaluation")
    folder = tmp_path / "evaluation"
    assert Evaluation.load(folder) == evaluation
    pictures = {path.name: path.read_bytes()[:8] for path in folder.glob("*.png")}
    names = {"ndcg_by_method.png", "ndcg_by_history_sessions.png", "ndcg_by_place_in_session.png"}
    assert pictures == dict.fromkeys(names, PNG)
    assert {path.stem for path in (folder / "answers").iterdir()} == {"oracle", *BASELINES}
    answers = pd.read_parquet(folder / "answers" / "oracle.parquet")
    assert answers[answers["event_id"] == 3].to_numpy().tolist() == [[3, "b", 1], [3, "a", 2]]


def test_a_failure_leaves_no_folder(dataset: Dataset, tmp_path: Path) -> None:
    def broken(dataset: Dataset, positions: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError):
        evaluate(dataset, {"oracle": oracle, "broken": broken}, tmp_path / "evaluation")
    assert list(tmp_path.iterdir()) == []


def test_an_older_evaluation_is_kept_unless_overwritten(dataset: Dataset, tmp_path: Path) -> None:
    evaluate(dataset, {"oracle": oracle}, tmp_path / "evaluation")
    with pytest.raises(DataError, match="exists already"):
        evaluate(dataset, BASELINES, tmp_path / "evaluation")
    assert list(Evaluation.load(tmp_path / "evaluation").methods) == ["oracle"]
    evaluate(dataset, BASELINES, tmp_path / "evaluation", overwrite=True)
    assert list(Evaluation.load(tmp_path / "evaluation").methods) == list(BASELINES)


@pytest.mark.parametrize(
    ("place", "row", "message"),
    [
        ((0, 0), 1, r"answer 0 has row 1 at place 1, which is no item"),
        ((1, 5), 99, r"answer 1 has row 99 at place 6.*rows are 2\.\.4"),
        ((2, 7), -3, r"answer 2 has row -3 at place 8"),
        ((3, 9), 2, r"answer 3 has the item of row 2 twice"),
    ],
)
def test_answers_that_are_no_answers_are_refused(
    dataset: Dataset, place: tuple[int, int], row: int, message: str
) -> None:
    def wrong(dataset: Dataset, positions: np.ndarray) -> np.ndarray:
        answers = oracle(dataset, positions)
        answers[place] = row
        return answers

    with pytest.raises(DataError, match=f"wrong: {message}"):
        evaluate(dataset, {"wrong": wrong})


def test_answers_of_another_shape_are_refused(dataset: Dataset) -> None:
    with pytest.raises(DataError, match=r"short: the answers have shape \(4, 10\); expected \(4, 20\)"):
        evaluate(dataset, {"short": lambda dataset, positions: oracle(dataset, positions)[:, :10]})


def test_answers_that_are_no_rows_are_refused(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="scores: the answers are float64; expected item rows"):
        evaluate(dataset, {"scores": lambda dataset, positions: np.zeros((4, 20))})


def test_there_is_no_such_role(dataset: Dataset) -> None:
    with pytest.raises(SettingsError, match="role 'exam' is none of train, val, test"):
        evaluate(dataset, BASELINES, role="exam")


def test_a_role_without_events_is_named(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="no val events"):
        evaluate(dataset, BASELINES, role="val")


def test_answers_leave_empty_places_out(dataset: Dataset) -> None:
    frame = answers_frame(dataset, np.array([3, 4]), np.array([[2, PADDING_ROW], [3, 4]]))
    # Rows follow the train counts: a, then b and c.
    assert frame.to_numpy().tolist() == [[3, "a", 1], [4, "b", 1], [4, "c", 2]]


def test_the_tables_show_every_method_and_bucket(dataset: Dataset) -> None:
    console = Console(record=True, width=100, file=io.StringIO())
    show(evaluate(dataset, {"oracle": oracle, **BASELINES}), console)
    text = console.export_text()
    assert all(title in text for title in ("oracle", "popular", "own", "sequential rules"))
    assert all(
        label in text
        for label in ("Recall@5", "NDCG@10", "MRR@20", "Coverage@10", "after 2-3 sessions", "25.00%")
    )
    assert f"{0.75 / np.log2(3):.4f}" in text


def test_no_evaluation_to_load(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"it has no metrics\.json"):
        Evaluation.load(tmp_path)
    (tmp_path / "metrics.json").write_text('{"queries": "many"}')
    with pytest.raises(DataError, match=r"metrics\.json cannot be read"):
        Evaluation.load(tmp_path)
