"""Where an unfinished training run keeps its checkpoints and logs, and whose it is."""

import shutil
from pathlib import Path

from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.folders import remove_partial
from tfrec.settings_file import load_settings
from tfrec.trained import SETTINGS_FILE, TrainedModel

DATASET_MARK = "dataset.json"


def unfinished(out: Path) -> Path:
    """Returns where the run of a model folder keeps what it has done so far."""
    return out.parent / f".{out.name}.training"


def work_folder(
    out: Path,
    settings: Settings,
    dataset: Dataset,
    restart: bool,
    older: TrainedModel | None = None,
    teacher: TrainedModel | None = None,
) -> Path:
    """Returns `.NAME.training/` beside `out`, new or of the same run.

    Raises:
        DataError: it cannot be written.
        SettingsError: it belongs to a run with other settings, another dataset, or another model to begin
            from or to learn from.
    """
    work = unfinished(out)
    mark = dataset.schema.model_dump_json(indent=1)
    if older is not None:
        mark += f"\n{older.space}"
    if teacher is not None:
        mark += f"\nteacher {teacher.space}"
    try:
        remove_partial(out)
        if restart:
            shutil.rmtree(work, ignore_errors=True)
        if not (work / SETTINGS_FILE).exists():
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
            (work / DATASET_MARK).write_text(mark, encoding="utf-8")
            settings.save(work / SETTINGS_FILE)
            return work
    except OSError as error:
        raise DataError(f"cannot write to {out.parent}: {error.strerror}. Check its permissions.") from error
    same_dataset = (work / DATASET_MARK).read_text(encoding="utf-8") == mark
    # As text: tasks of ranking in another order are other outputs.
    same_settings = load_settings(work / SETTINGS_FILE).model_dump_json() == settings.model_dump_json()
    if not same_settings or not same_dataset:
        raise SettingsError(
            f"{work} holds an unfinished run with other settings, another dataset or another model to begin "
            "from or to learn from. Call it with the same ones to go on, or say --restart to begin anew."
        )
    return work
