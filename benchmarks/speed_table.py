"""Recorded lines of `training_speed` as Markdown."""

from collections.abc import Sequence
from typing import Any

from benchmarks.accuracy_tables import Line, markdown
from benchmarks.speed_cases import CASES

METHODS = {"ours": "tfrec, the same work", "rectools": "RecTools SASRec", "tuned": "tfrec, tuned settings"}


def speed_table(lines: Sequence[Line]) -> str:
    """Returns rows a dataset, of the newest line that has it; empty without any."""
    rows: list[list[str]] = []
    for dataset in CASES:
        found: dict[str, Any] | None = next((x[dataset] for x in reversed(lines) if dataset in x), None)
        for name, title in METHODS.items() if found else ():
            assert found is not None
            mine = name == "ours"
            rows.append(
                [
                    dataset,
                    title,
                    f"{found[f'{name}_events_per_s']:,}",
                    f"{found[f'{name}_epoch_s']:.1f}",
                    f"**{found['ratio']}**" if mine else "",
                    f"{found['peak_share']:.1%}" if mine else "",
                    f"{found['peak_mb' if mine else f'{name}_peak_mb']:,}",
                ]
            )
    head = ("dataset", "", "events/s", "s an epoch", "to RecTools", "share of the peak", "peak MB")
    return markdown(head, rows) if rows else ""
