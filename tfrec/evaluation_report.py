"""An evaluation on the screen: the methods side by side."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from tfrec.evaluation_results import Evaluation, method_title

BUCKET_TITLES = {
    "session_event": "{} in session",
    "place_in_session": "place {}",
    "history_sessions": "after {} sessions",
}
SLICED_METRIC = "ndcg@10"
_NAMES = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "mrr": "MRR",
    "coverage": "Coverage",
    "novelty": "Novelty",
}
_NO_BEST = ("coverage", "novelty")  # more of it is not always better


def show(evaluation: Evaluation, console: Console | None = None) -> None:
    """Prints the tables; on stdout where no console is given."""
    console = console or Console()
    console.print(metrics_table(evaluation))
    console.print(slices_table(evaluation))


def metrics_table(evaluation: Evaluation) -> Table:
    """Returns a table with a line a metric and a column a method; the best value of a line is bold."""
    caption = f"{evaluation.queries:,} {evaluation.role} queries, {evaluation.items:,} items; novelty in bits"
    if evaluation.unknown_targets:
        caption += f"\n{evaluation.unknown_targets:.2%} of the targets are in no train event"
    table = _table(
        f"The next item: {evaluation.source}, {evaluation.split} split", caption, evaluation, ["metric"]
    )
    names = list(next(iter(evaluation.methods.values())).metrics) if evaluation.methods else []
    for name in names:
        values = [result.metrics[name] for result in evaluation.methods.values()]
        kind, k = name.split("@")
        ends_group = k == "20" or kind == "coverage"
        table.add_row(
            f"{_NAMES[kind]}@{k}", *_cells(values, kind), end_section=ends_group and kind != "coverage"
        )
    table.add_row("seconds", *(f"{result.seconds:.1f}" for result in evaluation.methods.values()))
    return table


def slices_table(evaluation: Evaluation) -> Table:
    """Returns a table of NDCG@10 with a line a bucket of each slice and a column a method."""
    table = _table("NDCG@10 by kind of query", None, evaluation, ["query", "queries"])
    for name, title in BUCKET_TITLES.items():
        for label, queries in evaluation.slice_queries[name].items():
            values = [result.slices[name][label][SLICED_METRIC] for result in evaluation.methods.values()]
            table.add_row(title.format(label), f"{queries:,}", *_cells(values, SLICED_METRIC.split("@")[0]))
        table.add_section()
    return table


def _table(title: str, caption: str | None, evaluation: Evaluation, leading: list[str]) -> Table:
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for heading in leading:
        table.add_column(heading, justify="right" if heading == "queries" else "left")
    for name in evaluation.methods:
        table.add_column(method_title(name), justify="right")
    return table


def _cells(values: Iterable[float], kind: str) -> list[str]:
    values = list(values)
    decimals = 2 if kind == "novelty" else 4
    texts = [f"{value:.{decimals}f}" for value in values]
    if kind in _NO_BEST or len(values) < 2:
        return texts
    return [
        f"[bold]{text}[/]" if value == max(values) else text
        for text, value in zip(texts, values, strict=True)
    ]
