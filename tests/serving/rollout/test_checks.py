"""Each threshold, on its own side and beyond."""

from pathlib import Path
from typing import Any

import pytest

from serving.rollout.checks import checks_of
from serving.rollout.comparison import Comparison
from serving.rollout.load import OpenLoad
from serving.rollout.measuring import Measured
from serving.rollout.settings import RolloutSettings
from tfrec.errors import SettingsError
from tfrec.servable import ServableInfo

GOOD: dict[str, Any] = {
    "users": 9,
    "k": 10,
    "overlap": 0.8,
    "worst_overlap": 0.4,
    "worst_request": "golden.jsonl:7",
    "score_drift": 0.25,
    "rank_correlation": 0.9,
}


@pytest.fixture(scope="module")
def info(int_folder: Path) -> ServableInfo:
    return ServableInfo.load(int_folder / "1")


def measured(info: ServableInfo, load: OpenLoad | None, peak_mb: float | None = 500.0) -> Measured:
    return Measured(Path("shop/1"), info, 2.5, 3, [], [], load, peak_mb)


def loaded(*latencies_ms: float, errors: tuple[str, ...] = ()) -> OpenLoad:
    return OpenLoad(20.0, len(latencies_ms) + len(errors), 1.0, list(latencies_ms), list(errors))


def failed(
    info: ServableInfo,
    *,
    load: OpenLoad | None = None,
    peak_mb: float | None = 500.0,
    faults: tuple[str, ...] = (),
    compared: dict[str, Any] | None = None,
    **thresholds: Any,
) -> list[str]:
    """The names of the checks that fail."""
    comparison = Comparison(**(GOOD | (compared or {})))
    found = checks_of(
        measured(info, load or loaded(1, 2, 3), peak_mb),
        measured(info, loaded(1, 2, 3)),
        faults,
        comparison,
        RolloutSettings(**thresholds),
    )
    return [check.name for check in found if check.passed is False]


@pytest.mark.parametrize(
    ("threshold", "passing", "failing", "name"),
    [
        ("min_overlap", 0.8, 0.81, "overlap@10, mean"),
        ("min_worst_overlap", 0.4, 0.41, "overlap@10, worst"),
        ("max_score_drift", 0.25, 0.24, "score drift"),
        ("min_rank_correlation", 0.9, 0.91, "rank correlation"),
        ("max_p99_ms", 3, 2.9, "latency, p99"),
        ("max_memory_mb", 500, 499, "memory, peak"),
    ],
)
def test_thresholds(info: ServableInfo, threshold: str, passing: float, failing: float, name: str) -> None:
    assert failed(info, **{threshold: passing}) == []
    assert failed(info, **{threshold: failing}) == [name]


def test_one_fault_or_failure_is_enough(info: ServableInfo) -> None:
    assert failed(info, faults=("golden.jsonl:1: the item 7 again at place 2",)) == ["faults of answers"]
    assert failed(info, load=loaded(1, errors=("INTERNAL: broken",))) == ["failures under load"]
    nothing = loaded(errors=("INTERNAL: broken",))
    assert failed(info, load=nothing) == ["failures under load", "latency, p99"]


def test_what_cannot_be_measured_is_only_reported(info: ServableInfo) -> None:
    nothing = {"score_drift": None, "rank_correlation": None}
    assert failed(info, peak_mb=None, compared=nothing, max_score_drift=0.0) == []


def test_answers_that_never_came_do_not_pass(info: ServableInfo) -> None:
    silent = measured(info, None)
    found = checks_of(silent, measured(info, loaded(1)), ("no",), None, RolloutSettings())
    assert [check.name for check in found if check.passed is False] == [
        "faults of answers",
        "answers compared",
        "answers under load",
    ]


def test_without_a_current_version_nothing_is_compared(info: ServableInfo) -> None:
    found = checks_of(measured(info, loaded(1)), None, (), None, RolloutSettings())
    assert {check.current for check in found} == {None}
    assert not [check for check in found if "overlap" in check.name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", 0),
        ("min_overlap", 1.5),
        ("min_worst_overlap", -1),
        ("max_score_drift", -0.1),
        ("min_rank_correlation", 2),
        ("rate", 0),
        ("load_requests", 0),
        ("max_p99_ms", -1),
        ("max_memory_mb", float("nan")),
        ("start_timeout_s", 0),
    ],
)
def test_settings_out_of_range(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{name}: expected .*, found"):
        RolloutSettings(**{name: value})
