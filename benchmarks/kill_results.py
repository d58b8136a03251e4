"""What a job has written, in a form that two runs of it can be compared by; what is hidden is no result."""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfrec.index.manifest import MANIFEST_FILE

Result = Mapping[str, str]
"""Checksums by name; empty where there is no result."""
WHEN = "time"
"""The JSON field that holds when a file was written."""


def tree(folder: Path) -> Result:
    """Returns the checksums of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _checksum(path) for path in files}


def parts(folder: Path) -> Result:
    """Returns those of the parts of a batch job."""
    return {path.name: _checksum(path) for path in sorted(folder.glob("part-*.parquet"))}


def weights(folder: Path) -> Result:
    """Returns those of a trained model's weights."""
    files = sorted(folder.glob("*.keras"))
    found = {}
    for path in files:
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".weights.h5"))
            found[path.name] = hashlib.sha256(archive.read(name)).hexdigest()
    return found


def versions_of(folder: Path) -> Result:
    """Returns those of the newest version of an index, whose list of checksums holds one of a time."""
    versions = sorted(
        (path for path in folder.glob("*") if path.name.isdigit()), key=lambda path: int(path.name)
    )
    found = tree(versions[-1]) if versions else {}
    return {name: checksum for name, checksum in found.items() if name != MANIFEST_FILE}


def _checksum(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(_lasting(json.loads(content)), sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _lasting(value: Any) -> Any:
    """A JSON value without when it was written."""
    if isinstance(value, dict):
        return {name: _lasting(of) for name, of in value.items() if name != WHEN}
    return [_lasting(of) for of in value] if isinstance(value, list) else value
