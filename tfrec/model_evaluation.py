"""A trained model measured: its retrieval beside the baselines, and its tasks of ranking."""

import functools
from pathlib import Path
from typing import NamedTuple

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
from tfrec.two_stage_prediction import TwoStagePredictor, nothing_known

RANKING_FOLDER = "ranking"
TWO_STAGES = "tfrec_in_two_stages"


class ModelEvaluation(NamedTuple):
    """What was measured.

    Attributes:
        retrieval: None where the model has learned to rank alone.
        ranking: None where it has no tasks of ranking, or the dataset no impressions of the role.
        tasks: of ranking that the model has.
    """

    retrieval: Evaluation | None
    ranking: RankingEvaluation | None
    tasks: tuple[str, ...]


def evaluate_model(
    model_folder: Path,
    dataset_folder: Path | None,
    out: Path,
    *,
    role: str = "test",
    quiet: bool = False,
) -> ModelEvaluation:
    """Measures a model on the queries and impressions of a dataset, and writes `out`.

    Of a model with tasks that ranks without statistics the answers in two stages are measured beside those of
    retrieval alone.

    Args:
        model_folder: what `tfrec train` has written.
        dataset_folder: whose queries are asked; None: the dataset that the model was trained on,
            where it lay, seen from the model.
        out: the folder of metrics, plots and answers, of ranking in `ranking/`; replaced where it is there.
        role: "test" or "val".
        quiet: no progress bars.

    Raises:
        DataError: the model or the dataset cannot be read, or there is nothing of the role to measure.
    """
    trained = TrainedModel.load(model_folder)
    folder = dataset_folder or trained.dataset_folder(model_folder)
    if not folder.exists():
        raise DataError(f"{folder} is not there: the model was trained on it. Name a dataset with --dataset.")
    own = Dataset.load(folder)
    dataset = own.in_rows_of(trained.facts)
    retrieval = ranking = None
    if trained.settings.ranking.retrieval:
        answerers: dict[str, Answerer] = {"tfrec": Predictor(trained.model, quiet=quiet)}
        if trained.settings.ranking.tasks and not trained.model.spec.statistics:
            # With statistics it would have to be counted again what was known of each candidate found.
            answerers[TWO_STAGES] = TwoStagePredictor(
                trained.model, trained.settings, dataset, nothing_known, quiet=quiet
            )
        answerers |= {name: functools.partial(answer, quiet=quiet) for name, answer in BASELINES.items()}
        retrieval = evaluate(dataset, answerers, out, role, overwrite=True)
    impressions = _impressions(trained, folder, own)
    if impressions is not None and impressions.is_role(role).any():
        ranking = evaluate_ranking(trained.model, dataset, impressions, role, quiet=quiet)
        with whole_folder(Path(out) / RANKING_FOLDER, overwrite=True) as written:
            ranking.save(written)
            save_reliability(ranking, written)
    if retrieval is None and ranking is None:
        raise DataError(
            f"{folder} has no {role} impressions, and {model_folder} has learned to rank alone: there is "
            "nothing to evaluate"
        )
    return ModelEvaluation(retrieval, ranking, tuple(trained.settings.ranking.tasks))


def _impressions(trained: TrainedModel, folder: Path, own: Dataset) -> Impressions | None:
    """The impressions of a dataset in the rows of a model; None where one of the two has none."""
    if not trained.settings.ranking.tasks or own.schema.impressions is None:
        return None
    return Impressions.load(folder, own).in_rows_of(own, trained.facts)
