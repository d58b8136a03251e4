"""A trained model measured beside the baselines."""

import functools
from pathlib import Path

from tfrec.baselines import BASELINES
from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.evaluation import Answerer, evaluate
from tfrec.evaluation_results import Evaluation
from tfrec.folders import whole_folder
from tfrec.impressions import Impressions
from tfrec.prediction import Predictor
from tfrec.ranking_evaluation import evaluate_ranking
from tfrec.ranking_report import save_reliability
from tfrec.ranking_results import RankingEvaluation
from tfrec.trained import TrainedModel


def evaluate_model(
    model_folder: Path,
    dataset_folder: Path | None,
    out: Path,
    *,
    role: str = "test",
    quiet: bool = False,
) -> Evaluation:
    """Measures a model and the baselines on the queries of a dataset, and writes `out`.

    Args:
        model_folder: what `tfrec train` has written.
        dataset_folder: whose queries are asked; None: the dataset that the model was trained on,
            where it lay, seen from the model.
        out: the folder of metrics, plots and answers; replaced where it is there.
        role: "test" or "val".
        quiet: no progress bars.

    Raises:
        DataError: the model or the dataset cannot be read, or has no such queries.
    """
    trained = TrainedModel.load(model_folder)
    dataset = Dataset.load(_dataset_folder(trained, model_folder, dataset_folder)).in_rows_of(trained.facts)
    answerers: dict[str, Answerer] = {"tfrec": Predictor(trained.model, quiet=quiet)}
    answerers |= {name: functools.partial(answer, quiet=quiet) for name, answer in BASELINES.items()}
    return evaluate(dataset, answerers, out, role, overwrite=True)


def evaluate_model_ranking(
    model_folder: Path,
    dataset_folder: Path | None,
    out: Path,
    *,
    role: str = "test",
    quiet: bool = False,
) -> RankingEvaluation | None:
    """Measures a model's tasks of ranking on the impressions of a dataset, and writes `out`.

    As `evaluate_model`; `out` gets `ranking.json` and `reliability.png`.

    Returns:
        None where the model has no such tasks.

    Raises:
        DataError: the model or the dataset cannot be read, or has no impressions of the role.
    """
    trained = TrainedModel.load(model_folder)
    if not trained.settings.ranking.tasks:
        return None
    folder = _dataset_folder(trained, model_folder, dataset_folder)
    own = Dataset.load(folder)
    impressions = Impressions.load(folder, own).in_rows_of(own, trained.facts)
    if not impressions.is_role(role).any():
        raise DataError(f"{folder} has no {role} impressions: there is nothing to evaluate the ranking on")
    dataset = own.in_rows_of(trained.facts)
    found = evaluate_ranking(trained.model, dataset, impressions, role, quiet=quiet)
    with whole_folder(out, overwrite=True) as written:
        found.save(written)
        save_reliability(found, written)
    return found


def _dataset_folder(trained: TrainedModel, model_folder: Path, dataset_folder: Path | None) -> Path:
    """The dataset that is asked.

    Raises:
        DataError: it is not there.
    """
    folder = dataset_folder or trained.dataset_folder(model_folder)
    if not folder.exists():
        raise DataError(f"{folder} is not there: the model was trained on it. Name a dataset with --dataset.")
    return folder
