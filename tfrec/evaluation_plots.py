"""An evaluation as pictures: PNG files, in colours that the colour-blind can tell apart."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from tfrec.evaluation_results import Evaluation, method_title

# Okabe and Ito, "Color Universal Design", 2008, without the yellow that is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPX"
DPI = 150
PLOTTED = "ndcg@10"


def save_plots(evaluation: Evaluation, folder: Path) -> None:
    """Writes `ndcg_by_method.png`, `ndcg_by_history_sessions.png` and `ndcg_by_place_in_session.png`."""
    figures = {
        "method": by_method(evaluation),
        "history_sessions": by_slice(evaluation, "history_sessions", "earlier sessions of the user"),
        "place_in_session": by_slice(evaluation, "place_in_session", "place of the event in its session"),
    }
    for name, figure in figures.items():
        figure.savefig(folder / f"ndcg_by_{name}.png", dpi=DPI)


def by_method(evaluation: Evaluation) -> Figure:
    """Returns bars of NDCG@10, one a method, in their order from the top."""
    names = list(evaluation.methods)
    values = [evaluation.methods[name].metrics[PLOTTED] for name in names]
    figure, axes = _axes(f"NDCG@10 of the next item: {evaluation.source}", height=1.4 + 0.5 * len(names))
    colours = [_colour(place) for place in range(len(names))]
    bars = axes.barh([method_title(name) for name in names], values, color=colours, height=0.65)
    axes.bar_label(bars, fmt="%.4f", padding=4)
    axes.set_xlim(0, max([*values, 1e-6]) * 1.15)
    axes.set_xlabel(
        f"NDCG@10, mean of {evaluation.queries:,} {evaluation.role} queries over {evaluation.items:,} items"
    )
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    return figure


def by_slice(evaluation: Evaluation, name: str, description: str) -> Figure:
    """Returns lines of NDCG@10 over the buckets of a slice, one a method."""
    labels = evaluation.slice_queries[name]
    figure, axes = _axes(f"NDCG@10 by {description}: {evaluation.source}", height=4.6)
    for place, (method, result) in enumerate(evaluation.methods.items()):
        values = [result.slices[name][label][PLOTTED] for label in labels]
        axes.plot(
            range(len(labels)),
            values,
            color=_colour(place),
            marker=MARKERS[place % len(MARKERS)],
            linewidth=2,
            label=method_title(method),
        )
    ticks = [f"{label}\n{queries:,}" for label, queries in labels.items()]
    axes.set_xticks(range(len(labels)), ticks)
    axes.set_xlabel(f"{description}; below, the number of queries")
    axes.set_ylabel("NDCG@10")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.06)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:.2f}"))
    axes.grid(axis="y", alpha=0.3)
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    return figure


def _axes(title: str, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.5, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]
