"""Measures answerers, a model and baselines alike, on the same queries over the whole catalogue."""

import contextlib
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

import tfrec
from tfrec import metrics
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.evaluation_plots import save_plots
from tfrec.evaluation_results import Evaluation, MethodResult, Metrics
from tfrec.folders import whole_folder
from tfrec.schema import FIRST_ROW, PADDING_ROW, ROLES, UNKNOWN_ROW
from tfrec.slices import Slices, query_slices

CUTOFFS = (5, 10, 20)
BEYOND_ACCURACY_AT = 10
ANSWERS_FOLDER = "answers"

Answerer = Callable[[Dataset, np.ndarray], np.ndarray]
"""`(dataset, positions) -> rows`: item rows [Q, K], best first, PADDING_ROW where there is none, for
the queries of the events at `positions` [Q] int64; a query is every event of the user before it."""


def evaluate(
    dataset: Dataset,
    answerers: Mapping[str, Answerer],
    out: Path | None = None,
    role: str = "test",
    *,
    overwrite: bool = False,
) -> Evaluation:
    """Asks every answerer for the items of all events of a role, and measures what it says.

    Every event of the role is a query; its item, the target, is looked for in the whole catalogue. A
    target that is in no train event scores 0 and counts.

    Args:
        dataset: with the events of the queries.
        answerers: by the names of the methods; each answers with at least 20 places.
        out: a folder to write, whole or not at all: `metrics.json`, plots as PNG, and
            `answers/METHOD.parquet` as `answers_frame` gives it.
        role: one of `ROLES`: "test", or "val" while a model is being tuned.
        overwrite: replace `out` where it is there.

    Raises:
        SettingsError: there is no such role.
        DataError: no event has the role; an answer has the wrong shape, an item twice, or an item
            outside the catalogue; `out` exists and `overwrite` is off.
    """
    if role not in ROLES:
        raise SettingsError(f"role {role!r} is none of {', '.join(ROLES)}")
    positions = np.flatnonzero(dataset.sequences.is_role(role))
    if not len(positions):
        raise DataError(
            f"the dataset has no {role} events (its split is {dataset.schema.split!r}), so there is nothing "
            "to evaluate. Prepare the log with another --split."
        )
    slices = query_slices(dataset.sequences, positions)
    targets = dataset.sequences.item[positions]
    results = {}
    with _folder(out, overwrite) as folder:
        for name, answerer in answerers.items():
            began = time.perf_counter()
            answers = answerer(dataset, positions)
            seconds = time.perf_counter() - began
            check_answers(name, answers, len(positions), dataset.items.size)
            results[name] = _measure(dataset, answers, targets, slices, seconds)
            if folder:
                path = folder / ANSWERS_FOLDER / f"{name}.parquet"
                path.parent.mkdir(exist_ok=True)
                answers_frame(dataset, positions, answers).to_parquet(path, index=False)
        evaluation = Evaluation(
            written_by={
                "tfrec": tfrec.__version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
            },
            source=dataset.schema.source,
            split=dataset.schema.split,
            role=role,
            queries=len(positions),
            unknown_targets=float((targets < FIRST_ROW).mean()),
            items=dataset.items.size - FIRST_ROW,
            slice_queries={
                name: {label: int(mask.sum()) for label, mask in masks.items()}
                for name, masks in slices.items()
            },
            methods=results,
        )
        if folder:
            evaluation.save(folder)
            save_plots(evaluation, folder)
    return evaluation


def answers_frame(dataset: Dataset, positions: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """Returns answers with raw ids: columns event_id (of the query), item_id, rank (from 1).

    Args:
        dataset: that was asked.
        positions: [Q] places of the queried events.
        rows: [Q, K] item rows; places with PADDING_ROW are left out.
    """
    query, place = np.nonzero(rows != PADDING_ROW)
    return pd.DataFrame(
        {
            "event_id": dataset.sequences.event_id[positions][query],
            "item_id": dataset.items.raw(rows[query, place]),
            "rank": place + 1,
        }
    )


def check_answers(name: str, answers: np.ndarray, queries: int, size: int) -> None:
    """Refuses answers that cannot be measured.

    Args:
        name: of the method, for the message.
        answers: [Q, K] item rows.
        queries: Q.
        size: rows of the item vocabulary, padding and unknown included.

    Raises:
        DataError: see `evaluate`.
    """
    if answers.ndim != 2 or len(answers) != queries or answers.shape[1] < max(CUTOFFS):
        raise DataError(
            f"{name}: the answers have shape {answers.shape}; expected ({queries}, {max(CUTOFFS)}) or wider"
        )
    if not np.issubdtype(answers.dtype, np.integer):
        raise DataError(f"{name}: the answers are {answers.dtype}; expected item rows, int32")
    outside = (answers < PADDING_ROW) | (answers == UNKNOWN_ROW) | (answers >= size)
    if outside.any():
        query, place = np.argwhere(outside)[0]
        raise DataError(
            f"{name}: answer {query} has row {answers[query, place]} at place {place + 1}, which is no item "
            f"of the catalogue; its rows are {FIRST_ROW}..{size - 1}"
        )
    ordered = np.sort(answers, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PADDING_ROW)
    if twice.any():
        query, place = np.argwhere(twice)[0]
        raise DataError(f"{name}: answer {query} has the item of row {ordered[query, place]} twice")


def _folder(out: Path | None, overwrite: bool) -> contextlib.AbstractContextManager[Path | None]:
    return contextlib.nullcontext() if out is None else whole_folder(out, overwrite=overwrite)


def _measure(
    dataset: Dataset, answers: np.ndarray, targets: np.ndarray, slices: Slices, seconds: float
) -> MethodResult:
    """All figures of one method."""
    values = dict(_accuracy(metrics.target_rank(answers, targets)))
    counts = dataset.catalogue["train_count"].to_numpy()
    items = dataset.items.size - FIRST_ROW
    found = {name: float(value.mean()) for name, value in values.items()}
    found[f"coverage@{BEYOND_ACCURACY_AT}"] = metrics.coverage(answers, BEYOND_ACCURACY_AT, items)
    found[f"novelty@{BEYOND_ACCURACY_AT}"] = metrics.novelty(answers, BEYOND_ACCURACY_AT, counts)
    by_slice: dict[str, dict[str, Metrics]] = {
        name: {
            label: {metric: float(value[mask].mean()) for metric, value in values.items()}
            for label, mask in masks.items()
        }
        for name, masks in slices.items()
    }
    return MethodResult(seconds=seconds, metrics=found, slices=by_slice)


def _accuracy(rank: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the accuracy metrics by name, [Q] each."""
    for metric in (metrics.recall, metrics.ndcg, metrics.mrr):
        for k in CUTOFFS:
            yield f"{metric.__name__}@{k}", metric(rank, k)
