from pathlib import Path

import numpy as np
import pytest

from benchmarks.soak import figures, held_at, judge, second_half
from benchmarks.soak_versions import index_copies, servable_copies
from serving.rollout.load import OpenLoad
from tests.serving.faults.pair import write_pair_index, write_servable
from tfrec.index.folder import load_newest

HOUR = 3600


def growing(mb_an_hour: float) -> list[tuple[float, float]]:
    """An hour's samples: 500 MB and 100 more by the middle, then so much an hour, with a MB of noise."""
    noise = np.random.default_rng(0).normal(0, 1, HOUR)
    return [
        (float(t), 500 + min(t, HOUR / 2) / 18 + mb_an_hour * max(0, t - HOUR / 2) / HOUR + noise[t])
        for t in range(HOUR)
    ]


def judged(
    samples: list[tuple[float, float]], errors: tuple[str, ...] = (), not_taken: float = 0
) -> list[str]:
    load = OpenLoad(10.0, 100, seconds=10.0, latencies_ms=[1.0] * (100 - len(errors)), errors=[*errors])
    return judge(figures(load, samples) | {"not_taken": not_taken})


def test_growth_is_that_of_the_second_half() -> None:
    slope, growth = second_half(growing(120.0))
    assert slope == pytest.approx(120, abs=1)
    assert growth == pytest.approx(60 / 600, abs=0.001)
    assert held_at(growing(0.0), 0.1) == pytest.approx(515, abs=1)
    assert held_at(growing(0.0), 1.0) == pytest.approx(600, abs=1)


def test_what_is_complained_of() -> None:
    assert judged(growing(0.0)) == []
    assert judged(growing(50.0)) == []
    assert "memory grew by 10.0%" in judged(growing(120.0))[0]
    assert judged(growing(0.0), ("UNAVAILABLE: gone",)) == ["1 requests failed, the first: UNAVAILABLE: gone"]
    assert "2 versions were not taken up" in judged(growing(0.0), not_taken=2)[0]


def test_newer_versions_are_copies_and_the_oldest_go(tmp_path: Path) -> None:
    write_servable(tmp_path / "given" / "shop", 3)
    write_pair_index(tmp_path / "indexes" / "shop", 5)
    servable = servable_copies(tmp_path / "servables", tmp_path / "given" / "shop")
    index = index_copies(tmp_path / "copies", tmp_path / "indexes" / "shop")
    for copies, first in ((servable, 3), (index, 5)):
        for _ in range(3):
            copies.make_newer()
        assert copies.made == 3
        assert {path.name for path in copies.folder.iterdir()} == {str(first + 2), str(first + 3)}
    assert load_newest(index.folder).info.version == 8
    given = tmp_path / "given" / "shop" / "3"
    assert (servable.newest / "saved_model.pb").read_bytes() == (given / "saved_model.pb").read_bytes()
