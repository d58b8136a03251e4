"""model/ -> servable/<version>/: a SavedModel for TensorFlow Serving."""

import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

import tfrec
from tfrec.coarse_index import CoarseIndex, half_index, scann_index
from tfrec.compression import to_int8
from tfrec.config import Settings
from tfrec.errors import DataError, SettingsError
from tfrec.folders import newest_version, whole_folder
from tfrec.graph_index import ExactIndex
from tfrec.int8 import Int8Candidates
from tfrec.layers.relations import Tensors
from tfrec.left_out import LeaveOut
from tfrec.servable import INFO_FILE, WARMUP_FILE, Retrieval, ServableInfo
from tfrec.settings_file import Override, load_settings
from tfrec.signatures import Servable
from tfrec.trained import SETTINGS_FILE, TrainedModel
from tfrec.warmup import warmup_requests, write_warmup

Precision = Literal["float32", "bfloat16", "float16", "int8"]


def export(
    model_folder: Path,
    out: Path,
    *,
    retrieval: Retrieval = "exact",
    precision: Precision = "float32",
    k: int = 100,
    leave_out: LeaveOut = "repeats",
    version: int | None = None,
    overrides: Sequence[Override] = (),
) -> Path:
    """Writes a version of a servable, and returns its folder `out/<version>/`.

    Args:
        model_folder: what `tfrec train` has written.
        out: the servable's folder; its name is the model's name in requests.
        retrieval: `exact` uses stock TensorFlow ops alone; `scann` needs the ScaNN ops.
        precision: of the candidates that exact search keeps; scores are float32 whatever it is. `int8`: of
            the towers' tables and kernels, too.
        k: how many items an answer holds, at most the catalogue.
        leave_out: see `Servable`.
        version: a number; None: one more than the newest in `out`.
        overrides: settings of `answers` in place of the model's own, as `answers.diversity=0.3`.

    Raises:
        DataError: the model cannot be read, or the version exists.
        SettingsError: k or version is below 1; the model has not learned to retrieve; a setting is none of
            `answers`, or not allowed; ScaNN is to have another precision.
    """
    if k < 1:
        raise SettingsError(f"k={k}: an answer must hold at least one item")
    trained = TrainedModel.load(model_folder)
    settings = answering(model_folder, overrides)
    if not trained.settings.ranking.retrieval:
        raise SettingsError(
            f"{model_folder} has learned to rank alone, and a servable retrieves. Train it with "
            "ranking.retrieval=true."
        )
    version = newest_version(out) + 1 if version is None else version
    if version < 1:
        raise SettingsError(f"version={version}: versions are numbered from 1")
    candidates = trained.model.candidate_tower.table()
    k = min(k, len(trained.facts.catalogue))
    retrieve = max(k, settings.answers.retrieve) + 2 * trained.model.spec.settings.max_length
    index = _index(candidates, retrieval, precision, retrieve)
    if precision == "int8":
        to_int8(trained.model)
    servable = Servable(trained, settings, index, k, leave_out)
    info = _info(trained, settings, out.name, version, retrieval, precision, k)
    signatures = servable.signatures(trained.facts)
    with whole_folder(Path(out) / str(version)) as folder:
        _save(servable, folder, signatures)
        (folder / "assets").mkdir(exist_ok=True)
        (folder / "assets" / INFO_FILE).write_text(info.model_dump_json(indent=1), encoding="utf-8")
        trained.facts.schema.save(folder / "assets")
        write_warmup(
            folder / "assets.extra" / WARMUP_FILE,
            warmup_requests(info, trained.facts, trained.model.spec.settings.dimensions),
        )
    return Path(out) / str(version)


def _index(
    candidates: tf.Tensor, retrieval: Retrieval, precision: Precision, retrieve: int
) -> ExactIndex | CoarseIndex:
    if retrieval == "scann":
        if precision != "float32":
            raise SettingsError(
                f"precision={precision}: ScaNN keeps candidates in a form of its own; use retrieval exact"
            )
        return scann_index(candidates, retrieve)
    if precision == "int8":
        return ExactIndex(Int8Candidates(candidates))
    return ExactIndex(candidates) if precision == "float32" else half_index(candidates, retrieve, precision)


def _save(servable: Servable, folder: Path, signatures: dict[str, Callable[..., Tensors]]) -> None:
    """Writes the SavedModel.

    Raises:
        DataError: TensorFlow cannot write it.
    """
    try:
        tf.saved_model.save(_resources(servable, signatures), str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        raise DataError(
            f"writing the SavedModel failed: {error.message}. Nothing was left behind."
        ) from error


def _resources(servable: Servable, signatures: dict[str, Any]) -> tf.Module:
    """What the signatures read, without the Keras model around it.

    A variable of Keras wraps one of TensorFlow. A SavedModel of the model would hold copies of the inner
    ones, and restore those alone where TensorFlow's C++ loads it, as TensorFlow Serving does, while the
    signatures read the inner ones and find them empty.
    """
    resources = tf.Module()
    read = {id(variable): variable for function in signatures.values() for variable in function.variables}
    parts = [servable.reader, servable.lists, servable.index, servable.second_stage.rules]
    resources.variables_read = list(read.values())
    resources.parts = [part for part in parts if part is not None]
    return resources


def answering(model_folder: Path, overrides: Sequence[Override]) -> Settings:
    """The model's settings, with others of `answers`."""
    for override in overrides:
        if not override.startswith("answers."):
            raise SettingsError(
                f"--set {override!r}: the model is trained already; a servable's own settings are answers.…"
            )
    return load_settings(Path(model_folder) / SETTINGS_FILE, overrides)


def _info(
    trained: TrainedModel,
    settings: Settings,
    name: str,
    version: int,
    retrieval: Retrieval,
    precision: Precision,
    k: int,
) -> ServableInfo:
    schema, spec = trained.facts.schema, trained.model.spec
    return ServableInfo(
        name=name,
        version=version,
        retrieval=retrieval,
        precision=precision,
        user_id_type=schema.user_id_type,
        item_id_type=schema.item_id_type,
        session_from=schema.session_from,
        session_gap_s=schema.session_gap_s,
        session_id_type=schema.session_id_type,
        has_clock=schema.has_clock,
        event_types=schema.event_types,
        context={c.name: c.kind for c in spec.context},
        max_length=spec.settings.max_length,
        k=k,
        tasks=("next_item", *spec.ranking.tasks),
        statistics=tuple(s.name for s in spec.statistics),
        request_context={c.name: c.kind for c in (spec.impressions.context if spec.impressions else ())},
        max_candidates=settings.answers.max_candidates,
        items=len(trained.facts.catalogue),
        written_by={
            "tfrec": tfrec.__version__,
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    )
