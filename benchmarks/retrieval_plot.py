"""Queries a second against recall: a line a method."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

MARKERS = "osv^Dx*P<>"


def draw(points: Sequence[dict[str, Any]], recall: float) -> Figure:
    """Returns the plot.

    Args:
        points: of all methods.
        recall: that a line marks.
    """
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    for place, method in enumerate(dict.fromkeys(one["method"] for one in points)):
        mine = frontier([one for one in points if one["method"] == method])
        axes.plot(
            [one["recall@10"] for one in mine],
            [one["qps"] for one in mine],
            marker=MARKERS[place],
            markersize=4,
            label=f"{method}, {mine[0]['memory_mb']:,} MB",
        )
    axes.axvline(recall, color="grey", linestyle=":")
    axes.set_yscale("log")
    axes.set_xlim(0.7, 1.005)
    axes.set_xlabel("recall@10")
    axes.set_ylabel("queries a second, one thread")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def frontier(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the points that no other beats in both recall and speed, by recall."""
    found: list[dict[str, Any]] = []
    for one in sorted(points, key=lambda one: (-one["recall@10"], -one["qps"])):
        if not found or one["qps"] > found[-1]["qps"]:
            found.append(one)
    return found[::-1]
