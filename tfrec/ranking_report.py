"""An evaluation of ranking on the screen and as pictures."""

from pathlib import Path

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from tfrec.evaluation_plots import COLOURS, DPI
from tfrec.ranking_results import RankingEvaluation

TITLES = {
    "auc": "AUC, by impression",
    "auc_by_user": "AUC, by user",
    "auc_overall": "AUC, over all candidates",
    "mrr": "MRR",
    "ndcg@5": "NDCG@5",
    "ndcg@10": "NDCG@10",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "r2": "share of the variance explained",
}


def show_ranking(evaluation: RankingEvaluation, console: Console | None = None) -> None:
    """Prints the tables; on stdout where no console is given."""
    console = console or Console()
    console.print(metrics_table(evaluation))
    console.print(slices_table(evaluation))


def metrics_table(evaluation: RankingEvaluation) -> Table:
    """Returns a table with a line a metric and a column a task."""
    caption = (
        f"{evaluation.impressions:,} {evaluation.role} impressions of {evaluation.candidates:,} candidates"
    )
    if evaluation.sampled:
        caption += (
            ", made of the log. Log loss, calibration, precision, recall and F1 are of the whole catalogue, "
            "the others of these candidates"
        )
    table = _table(f"Candidates: {evaluation.source}", caption, evaluation, "metric")
    for name, title in TITLES.items():
        values = [task.metrics.get(name) for task in evaluation.tasks.values()]
        if all(value is None for value in values):
            continue
        table.add_row(title, *("-" if value is None else f"{value:.4f}" for value in values))
    thresholds = [task.threshold for task in evaluation.tasks.values()]
    table.add_row("threshold, chosen on val", *("-" if t is None else f"{t:.4f}" for t in thresholds))
    table.add_row("share with the label", *(f"{task.share:.4f}" for task in evaluation.tasks.values()))
    return table


def slices_table(evaluation: RankingEvaluation) -> Table:
    """Returns a table of AUC with a line a bucket of each slice and a column a task."""
    table = _table("AUC by kind of impression", None, evaluation, "impressions")
    tasks = list(evaluation.tasks.values())
    for name, buckets in tasks[0].slices.items() if tasks else ():
        for bucket, part in buckets.items():
            found = [task.slices[name][bucket].auc for task in tasks]
            cells = ("-" if value is None else f"{value:.4f}" for value in found)
            table.add_row(f"{name}: {bucket} ({part.impressions:,})", *cells)
        table.add_section()
    return table


def save_reliability(evaluation: RankingEvaluation, folder: Path) -> None:
    """Writes `reliability.png`: observed shares over predicted probabilities, a line a task."""
    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    axes = figure.subplots()
    most = 0.0
    chances = {name: task for name, task in evaluation.tasks.items() if task.kind == "binary"}
    for colour, (name, task) in zip(COLOURS * len(chances), chances.items(), strict=False):
        axes.plot(task.predicted, task.observed, marker="o", markersize=4, color=colour, label=name)
        most = max([most, *task.predicted, *task.observed])
    axes.plot([0, most], [0, most], color="grey", linewidth=1, linestyle="--", label="as predicted")
    axes.set_title(f"Probabilities and what came: {evaluation.source}")
    axes.set_xlabel(f"predicted probability, bins of as many of {evaluation.candidates:,} candidates")
    axes.set_ylabel("share with the label")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(folder / "reliability.png", dpi=DPI)


def _table(title: str, caption: str | None, evaluation: RankingEvaluation, leading: str) -> Table:
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column(leading)
    for name in evaluation.tasks:
        table.add_column(name, justify="right")
    return table
