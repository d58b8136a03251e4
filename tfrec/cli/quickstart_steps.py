"""The steps of the quickstart: each calls the public function of a room."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

import data_prep
from data_prep.impression_options import SampledOptions
from data_prep.sources import SOURCES
from serving.client import Recommendation, Recommender
from serving.server import ServerSettings, running
from tfrec import ranking_report
from tfrec.dataset import Dataset
from tfrec.evaluation_report import metrics_table
from tfrec.evaluation_results import Evaluation
from tfrec.export import export as export_model
from tfrec.model_evaluation import RANKING_FOLDER, evaluate_model
from tfrec.ranking_results import RankingEvaluation
from tfrec.settings_file import load_settings
from tfrec.training import train as train_model

HOUSEHOLDS = 3
BASKET = (4, 8)
"""Fewest and most products of a last basket that is shown."""
DAYS_LATER = 3
NEGATIVES, LABEL, ONLY_EVENT_TYPE = 20, "bought", "event"


@dataclass(frozen=True)
class Household:
    """A household and its log, as a client would send it.

    Attributes:
        user_id: raw.
        events: its newest events, oldest first.
        last_basket: raw ids of the products in its last basket.
        request_time: of the next visit, unix seconds.
        next_session: its number.
    """

    user_id: int
    events: list[dict[str, Any]]
    last_basket: list[int]
    request_time: int
    next_session: int


def prepare(out: Path) -> None:
    """Complete Journey -> dataset/, as the source's own defaults say; baskets are its impressions."""
    sampled = SampledOptions(negatives=NEGATIVES, labels={LABEL: (ONLY_EVENT_TYPE,)})
    defaults = SOURCES["completejourney"].defaults
    data_prep.prepare(
        "completejourney", [], out, defaults.model_copy(update={"sampled_impressions": sampled})
    )


def train(dataset: Path, out: Path, settings: Path) -> None:
    """dataset/ -> model/."""
    train_model(dataset, out, load_settings(settings))


def evaluate(model: Path) -> None:
    """model/ -> model/evaluation/."""
    evaluate_model(model, None, model / "evaluation")


def show_evaluation(folder: Path, console: Console) -> None:
    """Prints the tables of metrics: of retrieval, and of the tasks that candidates are ranked by."""
    console.print(metrics_table(Evaluation.load(folder)))
    console.print(ranking_report.metrics_table(RankingEvaluation.load(folder / RANKING_FOLDER)))


def export(model: Path, out: Path, kind: Literal["exact", "scann"]) -> None:
    """model/ -> servables/KIND/1/."""
    export_model(model, out, retrieval=kind)


def serve_and_ask(servable: Path, dataset_folder: Path, console: Console, *, show: bool) -> None:
    """Serves a servable, asks for households over gRPC, and prints the answers or their number."""
    dataset = Dataset.load(dataset_folder)
    names = product_names(dataset)
    households = choose_households(dataset)
    _keep_example(households[0], dataset_folder.parent / "household.json")
    with (
        running(ServerSettings(folder=servable, port=0)) as server,
        Recommender(f"localhost:{server.port}", model=servable.name) as recommender,
    ):
        for household in households:
            found = recommender.recommend(
                household.events,
                k=10,
                request_time=household.request_time,
                session=household.next_session,
            )
            if show:
                _show(household, found, names, console)
    console.print(f"[bold]{servable}[/] answered {len(households)} households over gRPC, port {server.port}")


def product_names(dataset: Dataset) -> dict[int, str]:
    """Returns what a person would call each product."""
    columns = dataset.catalogue[list(dataset.schema.item_name_columns)].astype(object)
    names = (", ".join(str(part) for part in row if part == part and part) for row in columns.to_numpy())
    return dict(zip(dataset.catalogue["item_id"].tolist(), names, strict=True))


def choose_households(dataset: Dataset, count: int = HOUSEHOLDS) -> list[Household]:
    """Returns the first households whose last basket is neither tiny nor huge."""
    sequences = dataset.sequences
    chosen: list[Household] = []
    for user in range(sequences.users):
        at = np.arange(sequences.offsets[user], sequences.offsets[user + 1])
        known = at[sequences.item[at] > 1]
        if not len(known):
            continue
        last = known[sequences.session[known] == sequences.session[known[-1]]]
        if len(last) < BASKET[0] or len(last) > BASKET[1] or len(known) < 50:
            continue
        chosen.append(_household(dataset, user, known, last))
        if len(chosen) == count:
            break
    return chosen


def _household(dataset: Dataset, user: int, known: np.ndarray, last: np.ndarray) -> Household:
    sequences = dataset.sequences
    events = [
        {"item": int(item), "time": int(time), "session": int(session), "event_type": kind}
        for item, time, session, kind in zip(
            dataset.items.raw(sequences.item[known]),
            sequences.time[known],
            sequences.session[known],
            dataset.event_types.raw(sequences.event_type[known]),
            strict=True,
        )
    ]
    return Household(
        user_id=int(sequences.user_id[user]),
        events=events,
        last_basket=[int(i) for i in dataset.items.raw(sequences.item[last])],
        request_time=int(sequences.time[known[-1]]) + DAYS_LATER * 86400,
        next_session=int(sequences.session[known[-1]]) + 1,
    )


def _keep_example(household: Household, path: Path) -> None:
    """Writes a household as the file that `tfrec recommend --user-events` reads."""
    content = {
        "events": household.events,
        "request_time": household.request_time,
        "session": household.next_session,
    }
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _show(
    household: Household, found: Sequence[Recommendation], names: dict[int, str], console: Console
) -> None:
    """Prints a household's last basket beside what it may want next, and the probability of each task."""
    had = {event["item"] for event in household.events}
    title = f"Household {household.user_id}, {DAYS_LATER} days after its last basket"
    table = Table("last basket", "recommended (• bought before)", title=title, title_justify="left")
    tasks = sorted({task for one in found for task in one.probabilities})
    for task in tasks:
        table.add_column(task, justify="right")
    for product, one in itertools.zip_longest(household.last_basket, found):
        row = [names[product] if product is not None else ""]
        if one is not None:
            row.append(("• " if one.item in had else "  ") + names[int(one.item)])
            row += [f"{one.probabilities[task]:.0%}" for task in tasks]
        table.add_row(*row)
    console.print(table)
