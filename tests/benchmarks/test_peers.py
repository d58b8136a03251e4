"""Peers answer through the shared scripts, in the environment that each needs."""

import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.places import SHARED_BENCH
from benchmarks.processes import run_json

OUT = Path("answers.parquet")


def options(
    method: str, minutes: float | None = None, role: str = "test", curve: bool = False, record: bool = False
) -> Namespace:
    return Namespace(dataset="ebnerd", method=method, minutes=minutes, role=role, curve=curve, record=record)


def test_further_options_reach_the_shared_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simple = peers.command(options("vsknn", role="val"), ["--neighbours", "50"], OUT)
    assert simple[0] == sys.executable
    assert simple[2:] == ["ebnerd", "vsknn", OUT, "--role", "val", "--neighbours", "50"]
    python = tmp_path / "python"
    python.touch()
    monkeypatch.setattr(peers, "PEERS_PYTHON", python)
    rectools = peers.command(options("rectools", minutes=20), ["--loss", "gBCE"], OUT)
    assert rectools[0] == python
    assert rectools[2:] == ["ebnerd", OUT, "--minutes", "20", "--loss", "gBCE"]
    curve = peers.command(options("rectools", curve=True, record=True), ["--loss", "gBCE"], OUT)
    assert curve[1:5] == ["-m", "benchmarks.rectools_curve", "ebnerd", "--answers"]
    # The users of configs/ebnerd.yaml, unless others are named behind.
    assert curve[5:] == [OUT, "--record", "--users", "1000", "--loss", "gBCE"]


def test_without_the_environment_it_says_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PEERS_PYTHON", tmp_path / "python")
    with pytest.raises(SystemExit, match="make peers"):
        peers.command(options("rectools"), [], OUT)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "rectools", "--role", "val"], "answers test queries alone"),
        (["--method", "sr", "--minutes", "3"], "--minutes is for rectools"),
        (["--method", "sr", "--curve"], "--curve is for rectools"),
        (["--method", "magic"], "invalid choice"),
    ],
)
def test_what_a_peer_cannot_do_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        peers.main(["beauty", *words])
    assert message in capsys.readouterr().err


def test_the_judge_scores_sequential_rules(judge: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert SHARED_BENCH.exists()
    peers.main(["ebnerd", "--method", "sr"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["ndcg@10"] == pytest.approx(0.2311, abs=1e-4)
    assert found["answered"] == found["queries"]
    assert found["peer"]["context"] == 4
    assert found["peak_mb"] > 50


def test_the_memory_of_a_program_is_its_own() -> None:
    """A large caller leaves no trace in it."""
    large = np.ones(60_000_000)  # 480 MB
    assert run_json([sys.executable, "-S", "-c", "print('{}')"])[1] < 100
    script = "x = bytearray(200_000_000); print('{\"a\": 1}')"
    said, peak_mb = run_json([sys.executable, "-S", "-c", script])
    assert said == {"a": 1}
    assert 190 < peak_mb < 300
    assert large[-1] == 1


def test_a_program_that_fails_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="failed with exit code 3"):
        run_json([sys.executable, "-S", "-c", "import sys; sys.exit(3)"])
