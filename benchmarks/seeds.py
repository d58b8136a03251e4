"""Figures of several seeds."""

import statistics
from collections.abc import Mapping, Sequence

Figures = dict[str, float]


def mean_of(figures: Sequence[Mapping[str, float]]) -> Figures:
    """Means over seeds."""
    return {name: round(statistics.mean(one[name] for one in figures), 5) for name in figures[0]}


def spread(values: Sequence[float]) -> float | None:
    """The sample deviation; None of one value."""
    return round(statistics.stdev(values), 5) if len(values) > 1 else None
