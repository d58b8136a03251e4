"""`tfrec rollout check`: real versions, each in a server process of its own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from serving.rollout.version_process import VersionError, serving_version
from tests.serving.callers import Caller, sequences
from tests.serving.servables import INT_IDS
from tfrec.cli.rollout import register
from tfrec.errors import DataError, SettingsError

# However busy the machine is, this is about the verdict and not about speed.
FAST = ("--rate", "200", "--load-requests", "20", "--max-p99-ms", "60000")
GOLDEN = '[101, 102]\n{"events": [{"item": 103, "event_type": "purchase"}]}\n'


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`call(*arguments)`: the command."""
    monkeypatch.setenv("COLUMNS", "250")
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return lambda *arguments: CliRunner().invoke(app, ["rollout", "check", *map(str, arguments)])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, write_version: Callable[..., Path]) -> Path:
    """1 and 2, whose scores differ by 1000; 3 of another catalogue and other inputs; 4, which is cut off."""
    folder = tmp_path_factory.mktemp("servables") / "shop"
    for version in (1, 2):
        write_version(folder, version)
    write_version(folder, 3, [*INT_IDS[:3], 201, 202, 203], context={"store": "categorical"})
    shutil.copytree(folder / "1", folder / "4")
    (folder / "4" / "saved_model.pb").write_bytes(b"\x00half")
    (folder.parent / "golden.jsonl").write_text(GOLDEN, encoding="utf-8")
    return folder


def verdicts(report: dict[str, Any]) -> dict[str, bool | None]:
    return {check["name"]: check["passed"] for check in report["checks"]}


def test_a_version_that_passes(shop: Path, call: Callable[..., Result], tmp_path: Path) -> None:
    golden, report = shop.parent / "golden.jsonl", tmp_path / "report.json"
    result = call(
        shop / "2", "--against", shop / "1", "--requests", golden, "--report", report, "-k", 3, *FAST
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "overlap@3, mean" in result.stderr
    assert f"{shop / '2'} passes" in result.stderr
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["passed"]
    assert (found["newer"]["version"], found["current"]["version"]) == (2, 1)
    assert (found["golden"]["from"], found["golden"]["users"]) == (str(golden), 2)
    assert found["comparison"]["overlap"] == 1
    assert found["comparison"]["score_drift"] == pytest.approx(1000)
    for version in ("newer", "current"):
        assert found[version]["load"]["answered"] == 20
        assert found[version]["load"]["p50_ms"] <= found[version]["load"]["p99_ms"]
        assert found[version]["warm_up_requests"] == 3
        # A server with TensorFlow; what this process holds does not count.
        assert found[version]["peak_mb"] > 100


def test_a_version_that_refuses_what_is_asked_today(
    shop: Path, call: Callable[..., Result], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    result = call(shop / "3", "--against", shop / "1", "--report", report, *FAST)
    assert result.exit_code == 1
    assert f"{shop / '3'} does not pass" in result.stderr
    found = json.loads(report.read_text(encoding="utf-8"))
    assert not found["passed"]
    (fault,) = found["newer"]["faults"]
    assert "warm-up request 1, user 1: " in fault
    assert "Missing but required: {context.store}" in fault
    assert verdicts(found)["faults of answers"] is False


def test_a_version_that_answers_otherwise_and_takes_too_much(
    shop: Path, call: Callable[..., Result], tmp_path: Path
) -> None:
    report, golden = tmp_path / "report.json", tmp_path / "golden.jsonl"
    golden.write_text('{"events": [104, 105]}\n', encoding="utf-8")
    result = call(
        *(shop / "3", "--against", shop / "1", "--requests", golden, "--report", report),
        *("-k", 2, "--max-memory-mb", 1, *FAST),
    )
    assert result.exit_code == 1, result.output
    found = verdicts(json.loads(report.read_text(encoding="utf-8")))
    assert [name for name, passed in found.items() if passed is False] == ["overlap@2, mean", "memory, peak"]


def test_a_version_that_does_not_load(shop: Path, call: Callable[..., Result], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = call(shop / "4", "--report", report, *FAST)
    assert result.exit_code == 1
    found = json.loads(report.read_text(encoding="utf-8"))
    assert verdicts(found) == {"loads and warms up": False}
    assert f"{shop / '4'}/saved_model.pb" in found["checks"][0]["detail"]
    assert "It may be cut off; export it again" in found["checks"][0]["detail"]


def test_a_current_version_that_does_not_load_is_a_bad_call(shop: Path, call: Callable[..., Result]) -> None:
    result = call(shop / "1", "--against", shop / "4", *FAST)
    assert isinstance(result.exception, DataError)
    assert "the current version does not serve" in str(result.exception)


def test_golden_requests_that_the_only_version_does_not_take_are_a_bad_call(
    shop: Path, call: Callable[..., Result], tmp_path: Path
) -> None:
    golden = tmp_path / "golden.jsonl"
    golden.write_text('[101]\n["abc"]\n', encoding="utf-8")
    result = call(shop / "1", "--requests", golden, *FAST)
    assert isinstance(result.exception, DataError)
    assert "golden.jsonl:2.events[0].item: expected an integer" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("nowhere/1",), DataError, "nowhere/1 is no folder"),
        (("{shop}",), DataError, "is no version's folder: its name is no number"),
        (("{shop}/1", "--against", "{shop}/9"), DataError, "9 is no folder"),
        (("{shop}/1", "--requests", "none.jsonl"), DataError, "none.jsonl cannot be read"),
        (("{shop}/1", "--min-overlap", "2"), SettingsError, "min_overlap: expected 0 to 1, found 2"),
        (("{shop}/1", "--report", "nowhere/report.json"), SettingsError, "there is no folder nowhere"),
    ],
)
def test_bad_calls(
    shop: Path, call: Callable[..., Result], arguments: tuple[str, ...], error: type[Exception], message: str
) -> None:
    result = call(*(argument.format(shop=shop) for argument in arguments))
    assert isinstance(result.exception, error)
    assert message in str(result.exception)


def test_a_version_serves_alone_until_the_block_ends(shop: Path, connect: Callable[..., Caller]) -> None:
    with serving_version(shop / "1", 120) as version:
        caller = connect(int(version.target.rpartition(":")[2]))
        # Newer versions lie beside it.
        assert caller.predict(sequences([[101]]), name="shop").version == 1
        assert caller.states() == {1: ("AVAILABLE", "")}
        status = Path(f"/proc/{version.pid}/status")
        assert status.exists() == (version.peak_mb() is not None)
    assert not status.exists()
    assert version.peak_mb() is None


def test_a_version_that_takes_too_long(shop: Path) -> None:
    with (
        pytest.raises(VersionError, match=r"did not serve within 0\.001 s"),
        serving_version(shop / "1", 0.001),
    ):
        pass
