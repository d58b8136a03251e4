"""Figures of ranking by hand, and the way from a log with impressions to them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

import data_prep
from data_prep import PrepareOptions
from tests.tfrec.shown import CANDIDATES, shown_to
from tests.tfrec.test_model import small
from tfrec import ranking_evaluation
from tfrec.cli.evaluate import register as evaluate_command
from tfrec.cli.train import register as train_command
from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.impressions import Impressions
from tfrec.ranking_evaluation import best_threshold, decisions, list_metrics, task_result
from tfrec.ranking_results import RankingEvaluation
from tfrec.ranking_slices import impression_slices
from tfrec.schema import UNKNOWN_ROW
from tfrec.spec import ModelSpec
from tfrec.trained import TrainedModel
from tfrec.training import train

START, DAY = 1_600_000_000, 86_400
TASK = "ranking.tasks={click: {label: click}}"


def test_decisions_by_hand() -> None:
    predicted, label = np.array([True, True, True, False]), np.array([1, 1, 0, 1])
    found = decisions(predicted, label, np.ones(4))
    assert found == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})
    assert decisions(np.array([False]), np.array([0]), np.ones(1))["f1"] == 0
    weighed = decisions(predicted, label, np.array([1, 1, 6, 1]))
    assert weighed == pytest.approx({"precision": 2 / 8, "recall": 2 / 3, "f1": 4 / 11})


def test_the_threshold_is_that_of_the_highest_f1() -> None:
    probability, label = np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.1]), np.array([1, 0, 1, 1, 1, 0])
    for weight, expected in ((np.ones(6), 0.6), (np.array([9, 9, 1, 1, 1, 1]), 0.9)):
        found = best_threshold(probability, label, weight)
        by_hand = {t: decisions(probability >= t, label, weight)["f1"] for t in set(probability)}
        assert found == expected
        assert by_hand[found] == max(by_hand.values())


def test_the_threshold_comes_from_val_and_the_figures_from_the_role(
    rich_dataset: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Val probabilities are the labels, those of test a tenth of them: val's threshold predicts nothing."""
    dataset, impressions = shown_to(rich_dataset())
    impressions.role[-30:] = 2

    class Told:
        def __init__(self, model: object, *, quiet: bool) -> None: ...

        def __call__(self, dataset: Dataset, asked: Impressions) -> np.ndarray:
            share = 0.1 if asked.is_role("test").all() else 1.0
            return share * asked.labels["click"][:, None].astype(np.float32)

    monkeypatch.setattr(ranking_evaluation, "RankingPredictor", Told)
    model = SimpleNamespace(spec=ModelSpec.of(small(TASK), dataset))
    found = ranking_evaluation.evaluate_ranking(model, dataset, impressions, "test", quiet=True)
    task = found.tasks["click"]
    assert found.impressions == 30
    assert task.threshold == 1.0
    assert task.metrics["f1"] == 0
    assert task.metrics["auc"] == 1
    assert (
        ranking_evaluation.evaluate_ranking(model, dataset, impressions, "val", quiet=True)
        .tasks["click"]
        .metrics["f1"]
        == 1
    )


def test_auc_by_user_and_over_all_by_hand() -> None:
    score = np.array([0.9, 0.1, 0.2, 0.8, 0.5, 0.4])
    label = np.array([1, 0, 1, 0, 1, 0])
    found = list_metrics(score, label, np.array([0, 2, 4, 6]), np.array([7, 7, 8]))
    assert found["auc"] == pytest.approx((1 + 0 + 1) / 3)
    assert found["auc_by_user"] == pytest.approx((3 / 4 + 1) / 2)
    assert found["auc_overall"] == pytest.approx(6 / 9)
    assert found["mrr"] == pytest.approx((1 + 0.5 + 1) / 3)


def test_slices_part_the_impressions(rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = shown_to(rich_dataset())
    impressions.item[: 3 * CANDIDATES] = UNKNOWN_ROW
    slices = impression_slices(impressions, dataset)
    for name in ("user", "items", "hour"):
        assert np.sum([*slices[name].values()], axis=0).tolist() == [1] * len(impressions)
    assert slices["user"]["new"].sum() == (impressions.user < 0).sum()
    assert slices["items"]["half or more new"].sum() == 3
    label = impressions.labels["click"]
    result = task_result(label.astype(np.float32), label, impressions, None, slices)
    assert result.slices["items"]["half or more new"].auc == 1
    assert "f1" not in result.metrics


def shop(folder: Path, *, clicked: bool = True) -> Path:
    """A log of eight users over six days, and lists of five items, of which the first is clicked."""
    random = np.random.default_rng(0)
    users, days = [f"u{i}" for i in range(8)], 6
    moments = [START + d * DAY + 60 * place for d in range(days) for place in range(3)]
    events = [(user, int(random.integers(0, 9)), moment) for user in users for moment in moments]
    log = pd.DataFrame(events, columns=["user_id", "item_id", "timestamp"])
    shown = [random.permutation(9)[:5].tolist() for _ in users for _ in range(days)]
    asked = [START + d * DAY + 30 for _ in users for d in range(days)]
    frame = pd.DataFrame({"user_id": np.repeat(users, days), "timestamp": asked, "shown": shown})
    frame["clicked"] = [items[:1] if clicked else [] for items in shown]
    log.to_csv(folder / "log.csv", index=False)
    frame.to_parquet(folder / "shown.parquet")
    options = PrepareOptions.model_validate({"impressions": {"file": folder / "shown.parquet"}})
    out = folder / "dataset"
    data_prep.prepare("log", [folder / "log.csv"], out, options, console=Console(quiet=True))
    return out


def test_from_a_log_with_impressions_to_figures(tmp_path: Path) -> None:
    """By the commands, of a model that ranks alone: what retrieval would say is not asked for."""
    dataset, model = shop(tmp_path), tmp_path / "model"
    fast = ["training.epochs=1", "model.blocks=1", "model.rules=0", "training.xla=false"]
    small(TASK, "ranking.retrieval=false", *fast).save(tmp_path / "run.yaml")
    options = ["--out", str(model), "--config", str(tmp_path / "run.yaml"), "--quiet"]
    trained = command(train_command, str(dataset), *options)
    assert "val_auc 0." in trained
    text = command(evaluate_command, str(model), "--quiet")
    assert "AUC, by impression" in text
    assert "user: known (8)" in text
    out = model / "evaluation" / "ranking"
    found = RankingEvaluation.model_validate(json.loads((out / "ranking.json").read_text()))
    assert (out / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert found.impressions == 8
    assert found.tasks["click"].threshold is not None
    assert 0 <= found.tasks["click"].metrics["auc"] <= 1
    assert "val_ndcg@10" not in TrainedModel.load(model).training["history"][0]


def command(register: Callable[[typer.Typer], None], *arguments: str) -> str:
    app = typer.Typer()
    register(app)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_label_that_never_comes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train impression of .* has the label 'click'"):
        train(shop(tmp_path, clicked=False), tmp_path / "model", small(TASK), quiet=True)
