"""The printed settings are the defaults, and say what each means and may be."""

import re
from pathlib import Path

import pytest

from tfrec.cli.settings import settings
from tfrec.config import Settings
from tfrec.settings_file import known_keys, load_settings
from tfrec.settings_reference import reference


def test_what_is_printed_is_a_file_of_the_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings()
    file = tmp_path / "mine.yaml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert load_settings(file) == Settings()


def test_every_setting_is_explained() -> None:
    explained = re.findall(r"^ *(\w+): \S.*?  # \w", reference(), re.MULTILINE)
    assert set(explained) == {key.rsplit(".")[-1] for key in known_keys()}


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("fusion", "early | sum | concat | gated | cross"),
        ("encodings", "gap | place | request | recurrence"),
        ("dropout", "≥ 0, < 1"),
        ("half_life_days", "> 0"),
        ("heads", "≥ 1"),
    ],
)
def test_it_says_what_a_setting_may_be(key: str, allowed: str) -> None:
    line = next(line for line in reference().splitlines() if line.startswith(f"  {key}: "))
    assert line.endswith(f"; {allowed}")
