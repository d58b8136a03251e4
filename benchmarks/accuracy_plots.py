"""Accuracy against minutes of training: a panel a dataset, a line a method."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.curve import Point
from tfrec.evaluation_plots import COLOURS, DPI

OURS, RECTOOLS = "tfrec", "rectools"
TITLES = {OURS: "tfrec", RECTOOLS: "RecTools"}
COLUMNS = 2


def draw(curves: Mapping[str, Mapping[str, Sequence[Point]]]) -> Figure:
    """Returns the panels.

    Args:
        curves: points by dataset and method.
    """
    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(5.4 * columns, 3.8 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (dataset, methods) in zip(panels, curves.items(), strict=False):
        for method, points in methods.items():
            place = list(TITLES).index(method)
            axes.plot(
                [point.train_s / 60 for point in points],
                [point.ndcg for point in points],
                color=COLOURS[place],
                marker="os"[place],
                markersize=3,
                label=TITLES[method],
            )
        axes.set_title(dataset)
        axes.set_xlabel("minutes of training")
        axes.set_ylabel("NDCG@10, val queries")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    return figure


def save(curves: Mapping[str, Mapping[str, Sequence[Point]]], path: Path) -> None:
    """Writes the panels as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(curves).savefig(path, dpi=DPI)
