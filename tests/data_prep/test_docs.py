"""What docs/data.md shows is what happens."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import typer

from tfrec.cli import prepare as command

DOCS = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
WIDE = {**os.environ, "COLUMNS": "200"}


def test_the_example_prints_what_is_shown(tmp_path: Path) -> None:
    shop, goods = re.findall(r"```csv\n(.*?)```", DOCS, re.DOTALL)
    (tmp_path / "shop.csv").write_text(shop, encoding="utf-8")
    (tmp_path / "goods.csv").write_text(goods, encoding="utf-8")
    line, refused, done = re.findall(r"```\n((?:tfrec prepare shop|Error|Cleaning).*?)```", DOCS, re.DOTALL)
    words = shlex.split(line.replace("\\\n", " "))[1:]
    assert _words(refused) == _words(_said(words, tmp_path, status=2))
    said = _said([*words, "--max-rejected-share", "0.1"], tmp_path, status=0)
    assert _words(done) == _words(said)


def _said(words: list[str], folder: Path, *, status: int) -> str:
    """What the command says on stderr, but for the bar of progress."""
    program = [sys.executable, "-c", "from tfrec.cli import main; main()", *words]
    done = subprocess.run(program, cwd=folder, env=WIDE, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stderr.partition("\n")[2]


def _words(text: str) -> list[str]:
    return text.split()


def test_every_option_is_described() -> None:
    app = typer.Typer()
    command.register(app)
    options = {name for parameter in typer.main.get_command(app).params for name in parameter.opts}
    options -= {"paths", "--install-completion", "--show-completion"}
    section = DOCS.partition("## All options")[2].partition("\n## ")[0]
    assert len(options) > 20
    assert options <= set(re.findall(r"--[a-z][a-z-]+", section))
