"""The last line of a benchmark: one JSON object with the machine, the versions and the figures."""

import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = (
    "tfrec",
    "tensorflow",
    "keras",
    "tensorflow-recommenders",
    "scann",
    "grpcio",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "rectools",
    "torch",
)


def report(**figures: Any) -> None:
    """Prints the figures with the machine and the versions beside them."""
    print(json.dumps({"machine": machine(), "versions": versions(), **figures}), flush=True)


def machine() -> dict[str, Any]:
    """Returns the processor, its widest vectors, the cores of this process, and the memory in GiB."""
    info = Path("/proc/cpuinfo")
    flags = {flag for line in _lines(info) if line.startswith("flags") for flag in line.split()}
    names = [line.partition(":")[2].strip() for line in _lines(info) if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "vectors": next((name for name in ("avx512f", "avx2") if name in flags), ""),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / 2**30, 1),
        "system": platform.system(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that figures depend on, as far as installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
