"""Tables and plots of accuracy in docs/benchmarks.md: `python -m benchmarks.accuracy_report`.

Draws what is recorded under `benchmarks/results/` between marker comments of the document, and the plot of
accuracy against training minutes into docs/images/. What is not recorded yet is said there, with the
command that records it. Nothing outside the markers is touched.
"""

import argparse
import itertools
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ablation_tables import ablation_table, history_table
from benchmarks.accuracy_plots import OURS, RECTOOLS, TITLES, save
from benchmarks.accuracy_tables import (
    GOALS,
    Line,
    accuracy_table,
    newest_runs,
    of,
    peers_table,
    time_table,
)
from benchmarks.curve import Point
from benchmarks.places import ABLATION, ACCURACY, CURVES, PEERS, RESULTS, ROOT, SPEED, recorded
from benchmarks.speed_table import speed_table

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOT = Path("images") / "accuracy_by_minutes.png"
COMMANDS = {
    ACCURACY: "python -m benchmarks.accuracy {} --seed 1 --record",
    PEERS: "python -m benchmarks.peers {} --method rectools --record",
    ABLATION: "python -m benchmarks.ablation {}",
    CURVES: "python -m benchmarks.accuracy {0} --seed 1 --record` and "
    "`python -m benchmarks.peers {0} --method rectools --curve --record",
    SPEED: "python -m benchmarks.training_speed --record",
}
Curves = dict[str, dict[str, list[Point]]]


def main(arguments: list[str] | None = None) -> None:
    """Writes the document and the plot, and says what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of recorded lines")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args(arguments)
    lines: dict[str, list[Line]] = {name: [*recorded(name, options.results)] for name in COMMANDS}
    curves = curves_of(lines[ACCURACY], lines[CURVES])
    text = options.document.read_text(encoding="utf-8")
    for name, body in sections(lines, curves).items():
        text = between_markers(text, name, body, options.document)
    if curves:
        save(curves, options.document.parent / PLOT)
    options.document.write_text(text, encoding="utf-8")
    for note in missing(lines, curves):
        print(note, file=sys.stderr)
    print(options.document)


def sections(lines: dict[str, list[Line]], curves: Curves) -> dict[str, str]:
    """Returns what stands between each pair of markers."""
    notes = missing(lines, curves)

    def with_notes(name: str, *parts: str) -> str:
        return "\n\n".join([*(part for part in parts if part), *_notes_of(notes, name)])

    ablations = []
    for dataset in GOALS:
        table = ablation_table(lines[ABLATION], dataset)
        ablations += [f"### {dataset}", table, history_table(lines[ABLATION], dataset)] if table else []
    plot = f"![NDCG@10 against minutes of training]({PLOT.as_posix()})" if curves else ""
    return {
        ACCURACY: with_notes(ACCURACY, accuracy_table(lines[ACCURACY], lines[PEERS])),
        PEERS: with_notes(PEERS, peers_table(lines[PEERS]) if lines[PEERS] else ""),
        CURVES: with_notes(CURVES, plot, time_table(curves, peer=RECTOOLS, ours=OURS)),
        ABLATION: with_notes(ABLATION, *ablations),
        SPEED: with_notes(SPEED, speed_table(lines[SPEED])),
    }


def missing(lines: dict[str, list[Line]], curves: Curves) -> list[str]:
    """Returns what is not recorded, each with the command that records it."""
    notes = []
    for name in (ACCURACY, PEERS, ABLATION):
        lacking = [dataset for dataset in GOALS if not of(lines[name], dataset)]
        notes += [_note(name, dataset) for dataset in lacking]
    notes += [_note(CURVES, dataset) for dataset in GOALS if curves.get(dataset, {}).keys() != TITLES.keys()]
    return notes + ([] if lines[SPEED] else [_note(SPEED, "")])


def curves_of(accuracy: Sequence[Line], peers: Sequence[Line]) -> Curves:
    """Returns points by dataset and method: of our newest settings' first seed, of the peer's best run.

    Args:
        accuracy: recorded runs of ours.
        peers: recorded epochs of peers.
    """
    found: Curves = {dataset: {} for dataset in GOALS}
    for dataset, methods in found.items():
        timed = [run for run in newest_runs(of(accuracy, dataset, role="test")) if "epoch_train_s" in run]
        if timed:
            methods[OURS] = points_of(timed[0]["epoch_train_s"], timed[0]["val_ndcg@10"])
    runs: dict[tuple[str, str, str], list[Point]] = {}
    for line in peers:
        if "ndcg" in line:
            key = (line["dataset"], line["method"], line["run"])
            runs.setdefault(key, []).append(Point(line["epoch"], line["train_s"], line["ndcg"]))
    for (dataset, method, _), points in runs.items():
        methods = found[dataset]
        if method not in methods or _best(points) > _best(methods[method]):
            methods[method] = points
    return {dataset: methods for dataset, methods in found.items() if methods}


def points_of(epoch_s: Sequence[float], ndcg: Sequence[float]) -> list[Point]:
    """Returns the points of epochs that took so long, and ended so."""
    so_far = itertools.accumulate(epoch_s)
    return [Point(i, seconds, value) for i, (seconds, value) in enumerate(zip(so_far, ndcg, strict=True), 1)]


def between_markers(text: str, name: str, body: str, document: Path = DOCUMENT) -> str:
    """Returns the text with the body between the markers of the name; ends the program without them."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        sys.exit(f"{document} must have `{begin}` and `{end}` once, in this order: tables are drawn between")
    return pattern.sub(lambda _: f"{begin}\n\n{body}\n\n{end}", text)


def _best(points: Sequence[Point]) -> float:
    return max(point.ndcg for point in points)


def _note(name: str, dataset: str) -> str:
    return (
        f"{name}{f' of {dataset}' if dataset else ''}: not recorded yet; `{COMMANDS[name].format(dataset)}`."
    )


def _notes_of(notes: Sequence[str], name: str) -> list[str]:
    mine = [f"- {note}" for note in notes if re.match(rf"{name}\b", note)]
    return ["\n".join(mine)] if mine else []


if __name__ == "__main__":
    main()
