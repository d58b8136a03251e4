"""Which engine prepares a log, and with how much memory."""

from pathlib import Path

import pytest
from rich.console import Console

import data_prep
from data_prep import PrepareOptions, engines
from data_prep.sizes import free_memory, memory_needed
from data_prep.sources import source_named
from tests.data_prep.engines import QUIET
from tfrec.errors import SettingsError


def test_what_needs_the_whole_log_is_refused(tmp_path: Path) -> None:
    for source, change in (("judge", {}), ("completejourney", {"sampled_impressions": {"negatives": 3}})):
        options = PrepareOptions.model_validate(source_named(source).defaults.model_dump() | change)
        with pytest.raises(SettingsError, match=r"--engine dask works on parts.*--engine pandas"):
            data_prep.prepare(source, [tmp_path], tmp_path / "out", options, console=QUIET, engine="dask")


def test_a_log_beyond_memory_is_worked_on_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = source_named("completejourney")
    console = Console(record=True, width=200, file=(tmp_path / "screen").open("w"))

    def chosen(options: PrepareOptions = known.defaults) -> str:
        return engines.chosen_engine("auto", known, [], options, console)

    need = memory_needed(known.files([], known.defaults))
    assert 1_469_307 * 100 < need < 1_469_307 * 1000
    assert chosen() == "pandas"
    monkeypatch.setattr(engines, "free_memory", lambda: 2 * need - 2)
    assert chosen() == "dask"
    assert "Dask works on parts of it" in console.export_text()
    sampled = PrepareOptions.model_validate({"sampled_impressions": {"negatives": 3}})
    assert chosen(sampled) == "pandas"
    assert "statistics of impressions are counted over all of it" in console.export_text()


def test_memory_of_a_container_is_what_its_limit_leaves(tmp_path: Path) -> None:
    for name, text in (("max", "1000000"), ("current", "700000"), ("stat", "anon 1\ninactive_file 200000")):
        (tmp_path / f"memory.{name}").write_text(text + "\n")
    assert free_memory(tmp_path) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) > 500_000
