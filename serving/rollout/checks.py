"""What is judged of a version, one check a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.rollout.comparison import Comparison
from serving.rollout.measuring import Measured
from serving.rollout.settings import RolloutSettings


@dataclass(frozen=True)
class Check:
    """One row of the report.

    Attributes:
        name: what is looked at.
        unit: of the numbers; "" for none.
        found: the newer version's figure; None where there is none.
        current: the current version's, where it has one.
        wanted: the threshold in words; "" where the figure is only reported.
        passed: None where it is only reported.
        detail: what is behind it.
    """

    name: str
    unit: str = ""
    found: float | None = None
    current: float | None = None
    wanted: str = ""
    passed: bool | None = None
    detail: str = ""


def not_loaded(reason: str) -> Check:
    """The only check of a version that does not come into service."""
    return Check("loads and warms up", wanted="serves", passed=False, detail=reason)


def checks_of(
    newer: Measured,
    current: Measured | None,
    faults: Sequence[str],
    comparison: Comparison | None,
    settings: RolloutSettings,
) -> list[Check]:
    """Judges what was measured.

    Args:
        newer: the version that wants traffic.
        current: the version that has it, if any.
        faults: of the newer version's answers.
        comparison: of both versions' answers; None without a current version, or where nothing was answered.
        settings: the thresholds.
    """
    checks = [
        Check(
            "loads and warms up",
            "s",
            newer.start_s,
            current.start_s if current else None,
            "serves",
            True,
            f"warm-up requests: {newer.warm_up_requests}",
        ),
        Check(
            "faults of answers",
            found=len(faults),
            wanted="none",
            passed=not faults,
            detail=_shown(faults) or f"golden requests: {len(newer.answers)}",
        ),
    ]
    if current is not None:
        checks += _comparison_checks(comparison, settings)
    return [*checks, *_load_checks(newer, current, settings)]


def _comparison_checks(found: Comparison | None, settings: RolloutSettings) -> list[Check]:
    if found is None:
        return [Check("answers compared", found=0, wanted="at least 1", passed=False)]
    drift, most = found.score_drift, settings.max_score_drift
    order, least = found.rank_correlation, settings.min_rank_correlation
    return [
        Check(
            f"overlap@{found.k}, mean",
            found=found.overlap,
            wanted=f"at least {settings.min_overlap:g}",
            passed=found.overlap >= settings.min_overlap,
            detail=f"users: {found.users}",
        ),
        Check(
            f"overlap@{found.k}, worst",
            found=found.worst_overlap,
            wanted=f"at least {settings.min_worst_overlap:g}",
            passed=found.worst_overlap >= settings.min_worst_overlap,
            detail=found.worst_request,
        ),
        Check(
            "score drift",
            found=drift,
            wanted="" if most is None else f"at most {most:g}",
            # Where no item is shared the overlap has its say.
            passed=None if most is None or drift is None else drift <= most,
            detail="mean |difference| of shared items" if drift is not None else "no item is shared",
        ),
        Check(
            "rank correlation",
            found=order,
            wanted=f"at least {least:g}",
            passed=None if order is None else order >= least,
            detail="Spearman's, of shared items" if order is not None else "no user has three shared items",
        ),
    ]


def _load_checks(newer: Measured, current: Measured | None, settings: RolloutSettings) -> list[Check]:
    load, theirs = newer.load, current.load if current else None
    if load is None:
        return [Check("answers under load", found=0, wanted=f"{settings.load_requests}", passed=False)]
    p99 = load.percentile_ms(99)
    peak = newer.peak_mb
    return [
        Check(
            "failures under load",
            found=len(load.errors),
            current=len(theirs.errors) if theirs else None,
            wanted="none",
            passed=not load.errors,
            detail=_shown(load.errors) or f"{load.requests} requests, {load.rate:g} a second",
        ),
        Check("latency, p50", "ms", load.percentile_ms(50), theirs.percentile_ms(50) if theirs else None),
        Check(
            "latency, p99",
            "ms",
            p99,
            theirs.percentile_ms(99) if theirs else None,
            f"at most {settings.max_p99_ms:g}",
            p99 is not None and p99 <= settings.max_p99_ms,
        ),
        Check(
            "memory, peak",
            "MB",
            peak,
            current.peak_mb if current else None,
            f"at most {settings.max_memory_mb:g}",
            None if peak is None else peak <= settings.max_memory_mb,
            "" if peak is not None else "not measured: read on Linux alone, of a process that lives",
        ),
    ]


def _shown(texts: Sequence[str]) -> str:
    """The first one, and how many more."""
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return f"{texts[0]}{more}" if texts else ""
