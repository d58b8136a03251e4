"""The picture of a log that is replayed day by day."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw(line: dict[str, Any], path: Path) -> None:
    """Draws NDCG@10 by day, a line each way to keep up.

    Args:
        line: what `benchmarks.replay` has found.
        path: the PNG to write.
    """
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    days = [day["day"][5:] for day in line["days"]]
    for name in line["days"][0]["ndcg@10"]:
        axes.plot(days, [day["ndcg@10"][name] for day in line["days"]], marker="o", label=name)
    axes.set(xlabel="day that is asked for", ylabel="NDCG@10", ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=120)
    plt.close(figure)
