"""A peer's validation NDCG@10 against its seconds of training.

A line an epoch, then one with what it comes to; all carry the name of their run. Ours stands in the lines of
`benchmarks.accuracy`. Nothing beyond the standard library here, so that the peers' environment can import it.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.places import CURVES, record
from benchmarks.report import machine, versions


@dataclass(frozen=True)
class Point:
    """What an epoch ended with.

    Attributes:
        epoch: from 1.
        train_s: seconds of training since the beginning, compilation included, measuring not.
        ndcg: NDCG@10 on val queries.
    """

    epoch: int
    train_s: float
    ndcg: float


@dataclass(frozen=True)
class Paced(Point):
    """A point with the pace of its epoch.

    Attributes:
        events_per_s: real events of the epoch, by its own seconds of training.
        sequences_per_s: likewise, user sequences that were trained with.
    """

    events_per_s: float
    sequences_per_s: float


@dataclass
class Curve:
    """The points of a run, printed as they come.

    Attributes:
        dataset: the judge's name.
        method: the peer.
        settings: of the run, as far as they tell it from others.
        keep: append the lines to `benchmarks/results/curves.jsonl`.
        points: so far.
    """

    dataset: str
    method: str
    settings: dict[str, Any]
    keep: bool = False
    points: list[Paced] = field(default_factory=list)
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def add(self, point: Paced) -> None:
        """Takes the next epoch."""
        self.points.append(point)
        self._tell({name: round(value, 5) for name, value in asdict(point).items()})

    def end(self, peak_mb: float) -> None:
        """Tells what the run comes to."""
        facts = {"settings": self.settings, "machine": machine(), "versions": versions()}
        self._tell({**summary(self.points), "peak_mb": round(peak_mb), **facts})

    def _tell(self, facts: dict[str, Any]) -> None:
        line = {"run": self.run, "dataset": self.dataset, "method": self.method, **facts}
        print(json.dumps(line), flush=True)
        if self.keep:
            record(CURVES, line)


def summary(points: list[Paced]) -> dict[str, Any]:
    """Returns the best NDCG@10, its epoch, the seconds to it, and the speed without the first epoch.

    The first epoch compiles and fills caches; it counts for the seconds, and for the speed only
    where it is the only one.
    """
    best = max(points, key=lambda point: point.ndcg)
    counted = points[1:] or points
    epoch_s = [p.train_s - (points[p.epoch - 2].train_s if p.epoch > 1 else 0.0) for p in counted]

    def rate(values: list[float]) -> float:
        amount = sum(value * seconds for value, seconds in zip(values, epoch_s, strict=True))
        return round(amount / sum(epoch_s), 1)

    return {
        "best_ndcg": round(best.ndcg, 5),
        "best_epoch": best.epoch,
        "seconds_to_best": round(best.train_s, 1),
        "epochs": len(points),
        "epoch_s": round(sum(epoch_s) / len(epoch_s), 2),
        "mean_events_per_s": rate([p.events_per_s for p in counted]),
        "mean_sequences_per_s": rate([p.sequences_per_s for p in counted]),
    }


def seconds_to_reach(points: Sequence[Point], value: float) -> float | None:
    """Returns the seconds of training after which NDCG@10 was first at least the value; None: never."""
    return next((p.train_s for p in points if p.ndcg >= value), None)
