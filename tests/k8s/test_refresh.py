"""The nightly job goes on with the model of the night before: its own scripts, run by a shell.

`tfrec train` is a stand-in that writes what it was told, and rclone one that copies folders of this machine;
the storage is a folder.
"""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.k8s.rendering import Pod

refresh = pytest.mark.parametrize("manifests", ["jobs/refresh"], indirect=True)

TFREC = """#!/bin/sh
out=; all="$*"
while [ $# -gt 0 ]; do [ "$1" != --out ] || out=$2; shift; done
mkdir -p "$out" && echo "$all" > "$out/told"
"""
RCLONE = """#!/bin/sh
case "$1 $4" in
  "copyto "*) cp "$2" "$3" ;;
  "copy --include") [ -d "$2" ] || exit 3; mkdir -p "$3"; [ ! -f "$2$5" ] || cp "$2$5" "$3" ;;
  "copy "*) [ -d "$2" ] || exit 3; mkdir -p "$3"; cp -r "$2/." "$3" ;;
esac
"""


class Night:
    """A place where the containers of the pod run one after another, on a volume that begins empty."""

    def __init__(self, pod: Pod, folder: Path) -> None:
        self.pod = pod
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name, text in (("tfrec", TFREC), ("rclone", RCLONE)):
            (self.programs / name).write_text(text)
            (self.programs / name).chmod(0o755)

    def passes(self, version: str, anew_on: str) -> str:
        """Runs the containers from `fetch-model` on, and returns what `tfrec train` was told."""
        runs = self.folder / version
        runs.mkdir()
        (runs / "version").write_text(version + "\n")
        for name in ("fetch-model", "train", "upload"):
            script = self.pod.words(name)[2].replace("/runs", str(runs))
            storage = {"STORAGE": str(self.folder / "storage"), "ANEW_ON": anew_on}
            paths = {"PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}"}
            variables = {**self.pod.variables(name), **storage, **paths}
            subprocess.run(["/bin/sh", "-ec", script], env=variables, check=True)
        return (runs / "model" / "told").read_text()


@refresh
def test_it_goes_on_with_the_model_of_the_night_before(pod: Pod, tmp_path: Path) -> None:
    night, model = Night(pod, tmp_path), pod.variables("train")["MODEL"]
    first, second = night.passes("202606010315", "0"), night.passes("202606020315", "0")
    assert "--from" not in first
    assert f"--from {tmp_path}/202606020315/before/model" in second
    assert (tmp_path / "202606020315" / "before" / "model" / "told").read_text() == first
    kept = tmp_path / "storage" / "models" / model
    assert (kept / "newest").read_text() == "202606020315\n"
    assert (kept / "202606020315" / "told").read_text() == second


@refresh
def test_on_one_day_of_the_week_it_trains_anew(pod: Pod, tmp_path: Path) -> None:
    night = Night(pod, tmp_path)
    night.passes("1", "0")
    days = {time.strftime("%u", time.gmtime(time.time() + hours * 3600)) for hours in (0, 1)}  # at midnight
    told = [night.passes(f"anew-{day}", day) for day in sorted(days)]
    assert any("--from" not in one for one in told)


@refresh
def test_what_was_not_uploaded_whole_is_not_gone_on_with(pod: Pod, tmp_path: Path) -> None:
    night, model = Night(pod, tmp_path), pod.variables("train")["MODEL"]
    first = night.passes("1", "0")
    half = tmp_path / "storage" / "models" / model / "2"
    half.mkdir()
    assert "--from" in night.passes("3", "0")
    assert (tmp_path / "3" / "before" / "model" / "told").read_text() == first
