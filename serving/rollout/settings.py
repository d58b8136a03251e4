"""What a version has to show before it gets traffic."""

from dataclasses import dataclass

from tfrec.errors import SettingsError


@dataclass(frozen=True)
class RolloutSettings:
    """Thresholds, and how much is measured; a threshold of None is not judged.

    Attributes:
        k: how many of the best answers count; fewer where the current version gives fewer.
        min_overlap: least mean over users of the share of the current version's k best that stay.
        min_worst_overlap: the same of the user whose answer changed most.
        max_score_drift: largest mean absolute difference of the scores of items that both versions answer.
        min_rank_correlation: least mean over users of Spearman's correlation of those items' ranks.
        rate: requests a second, which come whether or not the ones before are answered.
        load_requests: how many of them.
        max_p99_ms: largest 99th percentile of their latencies, in milliseconds.
        max_memory_mb: largest resident memory that the server's process ever had, in MB.
        start_timeout_s: how long loading and warming up may take, in seconds.
    """

    k: int = 10
    min_overlap: float = 0.5
    min_worst_overlap: float = 0.0
    max_score_drift: float | None = None
    min_rank_correlation: float = 0.3
    rate: float = 20.0
    load_requests: int = 300
    max_p99_ms: float = 100.0
    max_memory_mb: float = 4096.0
    start_timeout_s: float = 600.0

    def __post_init__(self) -> None:
        _check_range("k", self.k, 1)
        _check_range("min_overlap", self.min_overlap, 0, 1)
        _check_range("min_worst_overlap", self.min_worst_overlap, 0, 1)
        _check_range("max_score_drift", 0 if self.max_score_drift is None else self.max_score_drift, 0)
        _check_range("min_rank_correlation", self.min_rank_correlation, -1, 1)
        _check_range("rate", self.rate, 0.01)
        _check_range("load_requests", self.load_requests, 1)
        _check_range("max_p99_ms", self.max_p99_ms, 0)
        _check_range("max_memory_mb", self.max_memory_mb, 0)
        _check_range("start_timeout_s", self.start_timeout_s, 1)


def _check_range(name: str, value: float, least: float, most: float = float("inf")) -> None:
    if not least <= value <= most:
        expected = f"at least {least}" if most == float("inf") else f"{least} to {most}"
        raise SettingsError(f"{name}: expected {expected}, found {value}.")
