"""A trained model measured beside the baselines."""

import functools
from pathlib import Path

from tfrec.baselines import BASELINES
from tfrec.dataset import Dataset
from tfrec.errors import DataError
from tfrec.evaluation import Answerer, evaluate
from tfrec.evaluation_results import Evaluation
from tfrec.prediction import Predictor
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
    folder = dataset_folder or trained.dataset_folder(model_folder)
    if not folder.exists():
        raise DataError(f"{folder} is not there: the model was trained on it. Name a dataset with --dataset.")
    dataset = Dataset.load(folder).in_rows_of(trained.facts)
    answerers: dict[str, Answerer] = {"tfrec": Predictor(trained.model, quiet=quiet)}
    answerers |= {name: functools.partial(answer, quiet=quiet) for name, answer in BASELINES.items()}
    return evaluate(dataset, answerers, out, role, overwrite=True)
