"""model/ -> indexes/NAME/<version>/: an index of the catalogue."""

import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import ValidationError

import tfrec
from tfrec.config import Settings
from tfrec.dataset import Dataset, Facts
from tfrec.errors import DataError, SettingsError
from tfrec.export import answering
from tfrec.folders import newest_version
from tfrec.index.building import build_index
from tfrec.index.folder import write_index
from tfrec.index.ids import ItemIds, id_array
from tfrec.index.info import IndexInfo, ScannSettings
from tfrec.index.scann import EXACT_BELOW, guided
from tfrec.index.segment import Column, Segment, column_of
from tfrec.left_out import LeaveOut
from tfrec.query_embeddings import query_embeddings
from tfrec.schema import FIRST_ROW
from tfrec.settings_file import Override
from tfrec.trained import TrainedModel

Kind = Literal["auto", "exact", "scann"]

MOST_QUERIES = 2000


def index_model(
    model_folder: Path,
    out: Path,
    *,
    kind: Kind = "auto",
    scann: Mapping[str, Any] | None = None,
    recall: float | None = None,
    filters: Sequence[str] = (),
    dataset_folder: Path | None = None,
    leave_out: LeaveOut = "repeats",
    version: int | None = None,
    overrides: Sequence[Override] = (),
    quiet: bool = False,
) -> Path:
    """Writes a version of an index of a model's catalogue, and returns its folder `out/<version>/`.

    Args:
        model_folder: what `tfrec train` has written.
        out: the index's folder, `indexes/NAME`.
        kind: auto: exact below 20,000 items.
        scann: fields of `ScannSettings` in place of those that fit the catalogue's size.
        recall: at 10 answers, that the leaves and candidates searched are chosen for.
        filters: categorical features that requests may filter by.
        dataset_folder: whose val queries measure the recall; None: that of the training, if it is there.
        leave_out: as in `export`; it must be that of the encoder's servable.
        version: a number; None: one more than the newest in `out`.
        overrides: settings of `answers` in place of the model's own.
        quiet: no progress bars.

    Raises:
        DataError: the model or the dataset cannot be read, or the version exists.
        SettingsError: a setting is not allowed; there are no queries to reach a recall with.
        MissingExtraError: ScaNN is not installed.
    """
    trained = TrainedModel.load(model_folder)
    settings = answering(model_folder, overrides)
    if not settings.ranking.retrieval:
        raise SettingsError(f"{model_folder} has learned to rank alone: its embeddings retrieve nothing")
    columns = _columns(trained.facts, [*filters, *settings.answers.at_most])
    table = trained.model.candidate_tower.table().numpy()[FIRST_ROW:]
    ids = ItemIds(id_array(trained.facts.items.values.tolist(), trained.facts.schema.item_id_type))
    items = len(ids)
    if kind == "auto":
        kind = "exact" if items < EXACT_BELOW and recall is None else "scann"
    if kind == "exact" and (scann is not None or recall is not None):
        raise SettingsError("an exact index finds everything: a recall and settings of ScaNN are for scann")
    answers = settings.answers
    if settings.formula is not None and answers.retrieve > answers.max_candidates:
        raise SettingsError(
            f"answers.retrieve={answers.retrieve} candidates are to be ranked, and answers.max_candidates="
            f"{answers.max_candidates} are ranked at most: expected no more"
        )
    info = _info(trained, settings, out, version, leave_out)
    info = info.model_copy(
        update={
            "kind": kind,
            "scann": _scann(items, scann or {}) if kind == "scann" else None,
            "columns": tuple(columns),
        }
    )
    queries = np.zeros((0, table.shape[1]), np.float32)
    if kind == "scann":
        folder = dataset_folder or trained.dataset_folder(model_folder)
        if folder.exists():
            queries = query_embeddings(trained, Dataset.load(folder), MOST_QUERIES, quiet=quiet)
        elif dataset_folder or recall is not None:
            raise DataError(f"{folder} is not there: its queries measure the recall. Name one by --dataset.")
    count = trained.facts.catalogue["train_count"].to_numpy(np.int64)
    base = Segment(ids, table, count, np.zeros(items, bool), columns)
    index = build_index(info, base, queries, recall)
    return write_index(index, out)


def _scann(items: int, given: Mapping[str, Any]) -> ScannSettings:
    try:
        return ScannSettings.model_validate(guided(items).model_dump() | dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{first['loc'][0]}: {first['msg']}, found {first['input']!r}") from error


def _info(
    trained: TrainedModel, settings: Settings, out: Path, version: int | None, leave_out: LeaveOut
) -> IndexInfo:
    schema, spec = trained.facts.schema, trained.model.spec
    return IndexInfo(
        name=out.name,
        version=newest_version(out) + 1 if version is None else version,
        kind="exact",
        space=trained.space,
        item_id_type=schema.item_id_type,
        dimensions=spec.settings.dimensions + 1,
        items=0,
        tasks=tuple(spec.ranking.tasks),
        has_formula=settings.formula is not None,
        max_length=spec.settings.max_length,
        session_from=schema.session_from,
        session_gap_s=schema.session_gap_s,
        repeats=schema.repeats,
        leave_out=leave_out,
        answers=settings.answers,
        seed=settings.seed,
        written_by={
            "tfrec": tfrec.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )


def _columns(facts: Facts, names: Sequence[str]) -> dict[str, Column]:
    known = [f.name for f in facts.schema.item_features if f.kind == "categorical"]
    for name in names:
        if name not in known:
            raise SettingsError(
                f"{name!r} is no feature of the catalogue with one value an item; such ones are "
                f"{', '.join(known) or 'none'}"
            )
    return {name: feature_column(facts.catalogue[name]) for name in dict.fromkeys(names)}


def feature_column(values: pd.Series) -> Column:
    """Returns a categorical feature as an index keeps it."""
    missing = values.isna()
    return column_of([None if no else str(value) for value, no in zip(values, missing, strict=True)])
