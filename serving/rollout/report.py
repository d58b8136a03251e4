"""A verdict as JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from serving.rollout.gate import Verdict
from serving.rollout.load import OpenLoad
from serving.rollout.measuring import Measured
from tfrec.errors import DataError


def write_report(verdict: Verdict, path: Path) -> None:
    """Writes what the gate found, as one JSON object.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(as_json(verdict), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"the report {path} cannot be written: {error.strerror}.") from error


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain values; times in the unit that their name says."""
    ours, theirs = verdict.measured
    golden = ours or theirs
    return {
        "passed": verdict.passed,
        "newer": {"folder": str(verdict.newer), **_measured(ours), "faults": list(verdict.faults)},
        "current": {"folder": str(verdict.current), **_measured(theirs)} if verdict.current else None,
        "golden": {"from": verdict.requests, "users": len(golden.golden) if golden else None},
        "comparison": dataclasses.asdict(verdict.comparison) if verdict.comparison else None,
        "checks": [dataclasses.asdict(check) for check in verdict.checks],
        "settings": dataclasses.asdict(verdict.settings),
    }


def _measured(measured: Measured | None) -> dict[str, Any]:
    if measured is None:
        return {}
    return {
        "name": measured.info.name,
        "version": measured.info.version,
        "retrieval": measured.info.retrieval,
        "items": measured.info.items,
        "start_s": measured.start_s,
        "warm_up_requests": measured.warm_up_requests,
        "peak_mb": measured.peak_mb,
        "load": _load(measured.load) if measured.load else None,
    }


def _load(load: OpenLoad) -> dict[str, Any]:
    latencies = {f"p{percent}_ms": load.percentile_ms(percent) for percent in (50, 90, 99, 100)}
    return {
        "rate": load.rate,
        "requests": load.requests,
        "answered": len(load.latencies_ms),
        "seconds": round(load.seconds, 3),
        **{name: None if value is None else round(value, 3) for name, value in latencies.items()},
        "errors": load.errors,
    }
