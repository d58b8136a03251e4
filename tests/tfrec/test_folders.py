"""Folders appear whole or not at all, whatever happens to who writes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfrec.errors import DataError
from tfrec.folders import whole_folder


def write(target: Path, text: str, *, overwrite: bool = False) -> None:
    with whole_folder(target, overwrite=overwrite) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text(text)


def content(target: Path) -> str:
    return (target / "deep" / "file").read_text()


def run(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "parents" / "dataset"
    with whole_folder(target) as folder:
        assert not target.exists()
        (folder / "file").write_text("whole")
    assert (target / "file").read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    write(tmp_path / "dataset", "old")
    with pytest.raises(DataError, match=r"dataset exists already.*--overwrite"):
        write(tmp_path / "dataset", "new")
    assert content(tmp_path / "dataset") == "old"


def test_overwriting_replaces_all_of_it(tmp_path: Path) -> None:
    write(tmp_path / "dataset", "old")
    (tmp_path / "dataset" / "stale").touch()
    write(tmp_path / "dataset", "new", overwrite=True)
    assert content(tmp_path / "dataset") == "new"
    assert [path.name for path in tmp_path.rglob("*")] == ["dataset", "deep", "file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, FileNotFoundError])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_error_leaves_things_as_they_were(
    tmp_path: Path, error: type[BaseException], overwrite: bool
) -> None:
    if overwrite:
        write(tmp_path / "dataset", "old")
    before = sorted(tmp_path.rglob("*"))

    def fail() -> None:
        with whole_folder(tmp_path / "dataset", overwrite=overwrite) as folder:
            (folder / "half").touch()
            raise error

    with pytest.raises(error):
        fail()
    assert sorted(tmp_path.rglob("*")) == before


KILLED = """
import os, signal, sys
from pathlib import Path
from tfrec.folders import whole_folder
with whole_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_killed_writer_leaves_no_half_folder(tmp_path: Path, overwrite: bool) -> None:
    target = tmp_path / "dataset"
    if overwrite:
        write(target, "old")
    assert run(KILLED, target).returncode == -9
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [
        "dataset"
    ] * overwrite
    if overwrite:
        assert content(target) == "old"
    assert len(list(tmp_path.glob(".dataset.partial-*"))) == 1

    write(target, "new", overwrite=overwrite)
    assert content(target) == "new"
    assert list(tmp_path.iterdir()) == [target]  # what the killed writer left is gone


KILLED_BETWEEN_RENAMES = """
import os, signal, sys
from pathlib import Path
from tfrec.folders import whole_folder
rename = Path.rename
def rename_and_die(path, target):
    rename(path, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.rename = rename_and_die
with whole_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "new").touch()
"""


def test_what_was_moved_aside_comes_back(tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    write(target, "old")
    assert run(KILLED_BETWEEN_RENAMES, target).returncode == -9
    with pytest.raises(DataError, match="exists already"):
        write(target, "new")
    assert content(target) == "old"


# Linux ignores permissions for root, so root becomes nobody once everything is imported.
FORBIDDEN = """
import os, sys
from pathlib import Path
from tfrec.errors import DataError
from tfrec.folders import whole_folder
if os.geteuid() == 0:
    os.setuid(65534)
try:
    with whole_folder(Path(sys.argv[1])) as folder:
        print("written")
except DataError as error:
    print(error)
"""


def test_a_place_without_permission_is_named(tmp_path: Path) -> None:
    parent = tmp_path / "read-only"
    parent.mkdir(mode=0o555)
    found = run(FORBIDDEN, parent / "dataset")
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == f"cannot write to {parent}: Permission denied. Check its permissions."
    assert list(parent.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        DataError, match=rf"cannot write to {tmp_path / 'file'}: (Not a directory|File exists)"
    ):
        write(tmp_path / "file" / "dataset", "new")


# A limit on the size of files stands for a disk that is full: writing fails half-way.
FULL = """
import resource, sys
from pathlib import Path
from tfrec.errors import DataError
from tfrec.folders import whole_folder
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with whole_folder(Path(sys.argv[1])) as folder:
        (folder / "small").write_bytes(bytes(900))
        (folder / "large").write_bytes(bytes(9000))
except DataError as error:
    print(error)
"""


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    found = run(FULL, tmp_path / "dataset")
    assert (
        found.stdout.strip()
        == f"writing {tmp_path / 'dataset'} failed: File too large. Nothing was left behind."
    )
    assert os.listdir(tmp_path) == []  # noqa: PTH208
