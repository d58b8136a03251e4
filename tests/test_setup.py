"""The way from a bare clone to an environment: what `make setup` finds, and what it says is missing."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
INPUTS = ("Makefile", "pyproject.toml", "requirements.lock")
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in INPUTS:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make(clone: Path, *arguments: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """Runs make where only the shell and the given programs (shell scripts by name) are on the path."""
    path = clone / "bin"
    path.mkdir()
    for name, script in programs.items():
        (path / name).write_text(f"#!/bin/sh\n{script}\n")
        (path / name).chmod(0o755)
    environment = {"PATH": str(path), "LC_ALL": "C"}
    command = [str(shutil.which("make")), *arguments]
    return subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)


@needs_make
def test_no_python_at_all(clone: Path) -> None:
    found = make(clone, "setup")
    assert found.returncode != 0
    assert "needs Python 3.11 or 3.12" in found.stderr
    assert "Found: none of them." in found.stderr
    assert not (clone / ".venv").exists()


@needs_make
def test_a_python_of_another_version_is_named(clone: Path) -> None:
    old = f"""exec {sys.executable} -c "import sys; sys.version_info = (3, 9, 2); $2" """
    found = make(clone, "quickstart", python3=old)
    assert found.returncode != 0
    assert "python3 is Python 3.9.2 (" in found.stderr
    assert "make quickstart PYTHON=/path/to/python3.11" in found.stderr


@needs_make
def test_a_python_without_venv_is_named(clone: Path) -> None:
    bare = f"""exec {sys.executable} -c "import sys; sys.modules['ensurepip'] = None; $2" """
    found = make(clone, "test", **{"python3.11": bare})
    assert found.returncode != 0
    assert "apt install python3-venv" in found.stderr
    assert not (clone / ".venv").exists()


@needs_make
def test_the_chosen_python_is_tried_alone(clone: Path) -> None:
    found = make(clone, "setup", "PYTHON=no-such-python", python3=f'exec {sys.executable} "$@"')
    assert found.returncode != 0
    assert "Looked for: no-such-python." in found.stderr


@needs_make
@pytest.mark.parametrize("changed", ["pyproject.toml", "requirements.lock"])
def test_setup_does_nothing_until_its_inputs_change(clone: Path, changed: str) -> None:
    stamp = clone / ".venv" / ".up-to-date"
    stamp.parent.mkdir()
    stamp.touch()
    for name in INPUTS:
        os.utime(clone / name, (1000, 1000))
    question = ["make", "--question", "setup"]
    assert subprocess.run(question, cwd=clone, check=False).returncode == 0
    os.utime(clone / changed, (2**32, 2**32))
    assert subprocess.run(question, cwd=clone, check=False).returncode == 1


@needs_make
def test_make_alone_lists_the_targets(clone: Path) -> None:
    found = subprocess.run(["make"], cwd=clone, capture_output=True, text=True, check=True)
    assert all(f"make {target} " in found.stdout for target in ("setup", "test", "quickstart", "lock"))


def test_the_lock_has_names_and_versions_and_nothing_else() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_the_lock_satisfies_every_extra() -> None:
    """Where this fails, `pyproject.toml` has changed: run `make lock`."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pairs = (line.split("==") for line in lines)
    locked = {str(canonicalize_name(name)): version for name, version in pairs}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [Requirement(line) for lines in (project["dependencies"], *extras.values()) for line in lines]
    missing = [
        str(requirement)
        for requirement in wanted
        if requirement.name != project["name"] and not satisfies(locked, requirement)
    ]
    assert missing == []


def satisfies(locked: dict[str, str], requirement: Requirement) -> bool:
    version = locked.get(canonicalize_name(requirement.name))
    return version is not None and version in requirement.specifier
