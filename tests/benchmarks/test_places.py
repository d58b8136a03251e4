import json
from pathlib import Path

import pytest

from benchmarks.places import DATASETS, record, recorded, require


def test_every_dataset_of_the_judge_has_its_settings() -> None:
    assert set(DATASETS) == {"ebnerd", "ml-1m", "beauty", "completejourney"}


def test_lines_are_kept_in_their_order(tmp_path: Path) -> None:
    assert recorded("some", tmp_path) == []
    for line in ({"a": 1}, {"a": "ä\n"}):
        record("some", line, tmp_path / "new")
    assert recorded("some", tmp_path / "new") == [{"a": 1}, {"a": "ä\n"}]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.jsonl").write_text(json.dumps({"a": 1}) + '\n{"a": ', encoding="utf-8")
    with pytest.raises(SystemExit, match="line 2"):
        recorded("some", tmp_path)


def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path) -> None:
    assert require(tmp_path, "make it") == tmp_path
    with pytest.raises(SystemExit, match="is missing: make it"):
        require(tmp_path / "nothing", "make it")
