"""The open loop over a real server, as small as it goes."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from benchmarks import open_loop
from benchmarks.open_loop import measure_open, setups
from benchmarks.requests import random_inputs, to_request
from serving.loading import load_servable
from tests.serving.servables import write_tiny


def test_a_setup_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servable = load_servable(write_tiny(tmp_path / "tiny", 1))
    requests = [to_request(servable, random_inputs(servable, 1, 0))]
    monkeypatch.setattr(open_loop, "MOST", 40)
    embedded, alone = setups(tmp_path / "tiny", None)
    assert [one.name for one in setups(tmp_path / "tiny", tmp_path)[2:]] == [
        "retrieval, encoder inside",
        "retrieval, encoder beside",
    ]
    assert alone.name == "embedded, no batches"
    assert [one.name for one in setups(tmp_path / "tiny", None, 2)] == [
        "embedded",
        "embedded, 2 processes",
        "embedded, no batches",
    ]
    assert [one.name for one in setups(tmp_path / "tiny", None, batch_events=[2048])][2:] == [
        "embedded, 2,048 events a batch"
    ]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        found = measure_open(embedded, requests, pool, 0.2)
    assert found["saturation_per_s"] > 0
    assert [rate["share"] for rate in found["rates"]] == [*open_loop.SHARES]
    for rate in found["rates"]:
        assert rate["refused"] == 0
        assert 0 < rate["p50_ms"] <= rate["p99_ms"] <= rate["p99.9_ms"]
