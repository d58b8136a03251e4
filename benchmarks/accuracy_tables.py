"""Recorded lines as Markdown: accuracy beside goals and peers, and the time to a peer's best."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.curve import Point, seconds_to_reach
from benchmarks.variations import settings_key

Line = Mapping[str, Any]
NDCG, HR = "ndcg@10", "hr@10"
NONE = "-"
ABOVE_PEERS = 1.05
"""How far above the best peer the goal lies at least."""


class Goal(NamedTuple):
    """What is to be reached on the test queries of a log."""

    ndcg: float
    hr: float


GOALS = {
    "ebnerd": Goal(0.33, 0.55),
    "ml-1m": Goal(0.200, 0.34),
    "beauty": Goal(0.060, 0.095),
    "completejourney": Goal(0.100, 0.17),
}


def accuracy_table(ours: Sequence[Line], peers: Sequence[Line]) -> str:
    """Returns a row a dataset: the goal, our mean over seeds with its spread, the best peer."""
    rows = []
    for dataset, goal in GOALS.items():
        best = max(of(peers, dataset, role="test"), key=lambda line: line[NDCG], default=None)
        runs = newest_runs(of(ours, dataset, role="test"))
        needed = max(goal.ndcg, ABOVE_PEERS * best[NDCG]) if best else goal.ndcg
        found = [run[NDCG] for run in runs]
        rows.append(
            [
                dataset,
                f"{needed:.4f}",
                f"**{mean_and_spread(found)}**" if found else NONE,
                str(len(found)),
                f"≥ {goal.hr}",
                mean_and_spread([run[HR] for run in runs]) if found else NONE,
                f"{peer_name(best)}: {best[NDCG]:.4f}" if best else NONE,
                f"{statistics.mean(found) / best[NDCG]:.2f}" if best and found else NONE,
            ]
        )
    head = ("dataset", "goal NDCG@10", "tfrec", "seeds", "goal HR@10", "tfrec", "best peer", "tfrec / peer")
    return markdown(head, rows)


def peers_table(peers: Sequence[Line]) -> str:
    """Returns a row for each way that a peer was tried, the best of each dataset first."""
    rows = []
    for dataset in GOALS:
        newest = {peer_name(line): line for line in of(peers, dataset, role="test")}
        for name, line in sorted(newest.items(), key=lambda item: -item[1][NDCG]):
            minutes, memory = f"{line['seconds'] / 60:.1f}", f"{line['peak_mb']:,}"
            rows.append([dataset, name, f"{line[NDCG]:.4f}", f"{line[HR]:.4f}", minutes, memory])
    return markdown(("dataset", "method", "NDCG@10", "HR@10", "minutes", "peak MB"), rows)


def time_table(curves: Mapping[str, Mapping[str, Sequence[Point]]], peer: str, ours: str) -> str:
    """Returns a row a dataset: the seconds to the peer's best NDCG@10, the peer's and ours.

    Args:
        curves: points by dataset and method.
        peer, ours: the methods.
    """
    rows = []
    for dataset, methods in curves.items():
        if peer not in methods or ours not in methods:
            continue
        best = max(methods[peer], key=lambda point: point.ndcg)
        seconds = seconds_to_reach(methods[ours], best.ndcg)
        reached = ["never", NONE] if seconds is None else [f"{seconds:.0f}", f"{seconds / best.train_s:.2f}"]
        top = max(point.ndcg for point in methods[ours])
        rows.append([dataset, f"{best.ndcg:.4f}", f"{best.train_s:.0f}", *reached, f"{top:.4f}"])
    head = ("dataset", "RecTools' best", "its seconds", "our seconds to it", "ours / its", "our best")
    return markdown(head, rows) if rows else ""


def of(lines: Iterable[Line], dataset: str, **facts: Any) -> list[Line]:
    """Returns the lines of a dataset with the given facts."""
    return [x for x in lines if x["dataset"] == dataset and all(x.get(k) == v for k, v in facts.items())]


def newest_runs(lines: Sequence[Line]) -> list[Line]:
    """Returns the runs with the settings of the newest line, one a seed: the newest of each."""
    if not lines:
        return []
    wanted = settings_key(lines[-1]["settings"])
    by_seed = {line["seed"]: line for line in lines if settings_key(line["settings"]) == wanted}
    return [by_seed[seed] for seed in sorted(by_seed)]


def peer_name(line: Line) -> str:
    """Returns a peer and what tells its settings from others, as people read it."""
    said = line["peer"]
    if line["method"] != "rectools":
        told = {k: said[k] for k in ("context", "neighbours", "reminders") if k in said}
        return " ".join([line["method"], *(f"{k}={v:g}" for k, v in told.items())])
    kind = "LiGR" if said["layers"] == "ligr" else {"sasrec": "SASRec", "bert4rec": "BERT4Rec"}[said["model"]]
    loss = said["loss"] if said["loss"] == "softmax" else f"{said['loss']} {said['negatives']}"
    size = f"d={said['dim']}, {said['blocks']} blocks, {said['heads']} heads, length {said['length']}"
    return f"RecTools {kind}, {loss}, {size}, dropout {said['dropout']:g}"


def mean_and_spread(values: Sequence[float]) -> str:
    """Returns the mean ± the sample standard deviation; of one value the value."""
    mean = f"{statistics.mean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
