"""`tfrec predict`, as people call it."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from tests.tfrec.made import Made
from tfrec.cli.predict import register
from tfrec.errors import SettingsError


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`run(argument, …)`: the command; what it raises is not turned into words."""
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    register(app)
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])


def test_users_are_answered_and_a_job_goes_on(made: Made, run: Callable[..., Result], tmp_path: Path) -> None:
    model, out = made.folder / "model", tmp_path / "answers"
    users = [*made.dataset.sequences.user_id[:5].tolist(), 990]
    pd.DataFrame({"user_id": users}).to_csv(tmp_path / "users.csv", index=False)
    (tmp_path / "gone.csv").write_text("item_id\n104\n")
    words = (model, tmp_path / "users.csv", "--out", out, "--k", 4, "--chunk", 2, "--filter", "colour=red")
    words = (*words, "--exclude", tmp_path / "gone.csv", "--at", "2018-01-01", "--quiet")
    first = run(*words, "--shard", "0/2")
    assert first.exit_code == 0, first.output
    assert "1 users are not in the log: answered as newcomers" in first.output
    assert "is not complete yet: 4 parts in all" in first.output
    second = run(*words)
    assert "4 users answered" in first.output
    assert "2 users answered" in second.output
    assert "2 of its parts were there already" in second.output
    assert "is complete" in second.output
    answers = pd.read_parquet(out)
    assert sorted(answers.user_id.unique()) == sorted(users)
    red = made.dataset.catalogue.query("colour == 'red'").item_id
    assert set(answers.item_id) <= set(red) - {104}
    assert answers.groupby("user_id")["rank"].max().tolist() == [4] * 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--shard", "1"), "expected I/N"),
        (("--shard", "3/2"), "expected 0/2 to 1/2"),
        (("--filter", "colour"), "expected NAME=VALUE"),
        (("--at", "soon"), "ISO 8601"),
        (("--set", "model.blocks=1"), r"answers\.…"),
    ],
)
def test_what_is_wrong_is_said(
    made: Made, run: Callable[..., Result], tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    found = run(made.folder / "model", "--out", tmp_path / "answers", "--quiet", *words)
    assert isinstance(found.exception, SettingsError)
    with pytest.raises(SettingsError, match=message):
        raise found.exception
    assert not (tmp_path / "answers").exists()
