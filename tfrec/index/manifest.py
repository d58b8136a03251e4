"""`files.json`: sizes and checksums, so that a damaged index is told from a whole one before it is used.

ScaNN ends the process over a file that was cut off.
"""

import json
import zlib
from pathlib import Path

from tfrec.errors import DataError

MANIFEST_FILE = "files.json"
ON_DISK = "embedding.npy"
"""Its checksum would have all of it read at the start."""
CHUNK = 1 << 22


def write_manifest(folder: Path) -> None:
    """Writes down what the folder holds."""
    files = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, _checksum(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(files, indent=1), encoding="utf-8")


def check_manifest(folder: Path, *, mapped: bool) -> None:
    """Compares the folder with what was written down.

    Args:
        folder: of a version.
        mapped: embeddings are read in parts, when needed: of them the size alone.

    Raises:
        DataError: a file is missing or another one; or there is no manifest.
    """
    path = folder / MANIFEST_FILE
    try:
        files = {name: (int(size), int(sum_)) for name, (size, sum_) in json.loads(path.read_text()).items()}
        found = {name: (folder / name).stat().st_size for name in files if (folder / name).is_file()}
    except FileNotFoundError:
        raise DataError(
            f"{folder} is no whole index: it has no {MANIFEST_FILE}. `tfrec index` writes one."
        ) from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read: {error}. Build the index again.") from error
    for name, (size, checksum) in files.items():
        file = folder / name
        if found.get(name) != size:
            was = f"{found[name]} bytes" if name in found else "nothing"
            raise DataError(f"{file}: expected {size} bytes, found {was}. Copy or build the index again.")
        if not (mapped and file.name == ON_DISK) and _checksum(file) != checksum:
            raise DataError(f"{file} is damaged: its checksum differs. Copy or build the index again.")


def _checksum(path: Path) -> int:
    found = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found = zlib.crc32(chunk, found)
    return found
