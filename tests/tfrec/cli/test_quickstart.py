"""The quickstart on sixty households and a tiny model: every step for real, twice."""

import json
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import tfrec.cli.quickstart as command
from data_prep.sources import completejourney
from tfrec.model_evaluation import TWO_STAGES

TINY = """
model: {dimensions: 8, feed_forward: 8, blocks: 1, max_length: 31, rules: 4, rule_events: 2}
loss: {in_batch: 64, uniform: 32}
training: {epochs: 1, rows: 8, validation_users: 10, xla: false}
ranking: {tasks: {buy: {label: bought}}, statistics: []}
"""


@pytest.fixture
def small_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's files, with the first sixty households alone; and settings to match."""
    folder = tmp_path / "data"
    folder.mkdir()
    source = completejourney.data_folder()
    lines = pq.read_table(source / "transactions.parquet")
    few = pc.less_equal(pc.cast(lines["household_id"], "int64"), 60)
    pq.write_table(lines.filter(few), folder / "transactions.parquet")
    pq.write_table(pq.read_table(source / "products.parquet"), folder / "products.parquet")
    (tmp_path / "tiny.yaml").write_text(TINY)
    monkeypatch.setattr(completejourney, "data_folder", lambda: folder)
    monkeypatch.setattr(command, "SETTINGS", tmp_path / "tiny.yaml")


def test_from_a_log_to_recommendations(
    small_log: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    command.quickstart(out)
    first = capsys.readouterr().out
    for words in (
        "NDCG@10",
        "sequential",
        "last basket",
        "bought before",
        "buy",
        "calibration",
        "over gRPC",
        "tfrec serve",
    ):
        assert words in first
    assert first.count("days after its last basket") == 3
    assert "calibration error" in first
    assert all("buy" in table and "%" in table for table in first.split("days after its last basket")[1:])
    metrics = json.loads((out / "model" / "evaluation" / "metrics.json").read_text())
    assert set(metrics["methods"]) == {"tfrec", TWO_STAGES, "popular", "own", "sequential_rules"}
    assert list((out / "model" / "evaluation").glob("*.png"))
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != "household.json"}
    command.quickstart(out)
    second = capsys.readouterr().out
    assert second.count("found: ") == 5
    changed = [p for p, at in written.items() if p.is_file() and p.stat().st_mtime_ns != at]
    assert changed == []
    assert _answers(first) == _answers(second)


def _answers(output: str) -> str:
    return output.split("6. Serve")[1].split("answered")[0]
