"""What the client costs whoever installs and imports it: `python -m benchmarks.client`.

Builds the project's wheel, installs `tfrec[client]` (the base installation) into a fresh virtual
environment, and reports what is downloaded, its size without pip's own, the seconds of the installation
(download and bytecode included; the download is served from pip's cache where there is one), and how long
`import serving.client` takes in interpreters of their own, beside `import grpc` alone. Both imports take
turns, so that other work on the machine meets both alike; figures are medians.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.places import ROOT
from benchmarks.report import report
from tfrec.progress import track

IMPORT = "import time; began = time.perf_counter(); import {}; print(time.perf_counter() - began)"
MODULES = ("grpc", "serving.client")
LARGEST = 6


def main(arguments: list[str] | None = None) -> None:
    """Measures, and prints one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="interpreters that import each module")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        wheel = build_wheel(place)
        python = make_environment(place / "venv")
        asked = f"tfrec[client] @ {wheel.as_uri()}"
        pip(python, "download", "--dest", str(place / "downloads"), asked)
        downloaded = sum(file.stat().st_size for file in (place / "downloads").iterdir())
        before = sizes(python)
        began = time.perf_counter()
        pip(python, "install", asked)
        seconds = time.perf_counter() - began
        grown = {name: size - before.get(name, 0) for name, size in sizes(python).items()}
        imports = import_seconds(python, options.runs)
    largest = sorted(grown, key=lambda name: -grown[name])[:LARGEST]
    report(
        downloaded_mb=_mb(downloaded),
        installed_mb=_mb(sum(grown.values())),
        largest_mb={name: _mb(grown[name]) for name in largest},
        install_seconds=round(seconds, 1),
        import_seconds={name: round(statistics.median(found), 3) for name, found in imports.items()},
        import_seconds_fastest={name: round(min(found), 3) for name, found in imports.items()},
        runs=options.runs,
    )


def build_wheel(place: Path) -> Path:
    """The project's wheel, built with this environment's own build system."""
    pip(
        Path(sys.executable),
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(place),
        str(ROOT),
    )
    (wheel,) = place.glob("tfrec-*.whl")
    return wheel


def make_environment(place: Path) -> Path:
    """A fresh virtual environment; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    return place / "bin" / "python"


def pip(python: Path, *words: str) -> None:
    """Runs pip quietly; its complaints go to stderr."""
    subprocess.run([python, "-m", "pip", "--quiet", *words], check=True, stdout=sys.stderr)


def sizes(python: Path) -> dict[str, int]:
    """Bytes of each entry of an environment's site-packages."""
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    return {entry.name: _bytes(entry) for entry in packages.iterdir()}


def import_seconds(python: Path, runs: int) -> dict[str, list[float]]:
    """Seconds of each import in a new interpreter; the first of each, which reads from disk, is left out."""
    found: dict[str, list[float]] = {name: [] for name in MODULES}
    for run in track(range(runs + 1), "imports", runs + 1):
        for name in MODULES:
            command = [python, "-I", "-c", IMPORT.format(name)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            if run:
                found[name].append(float(printed))
    return found


def _bytes(entry: Path) -> int:
    if not entry.is_dir():
        return entry.stat().st_size
    return sum(path.stat().st_size for path in entry.rglob("*") if path.is_file())


def _mb(size: int) -> float:
    return round(size / 1e6, 1)


if __name__ == "__main__":
    main()
