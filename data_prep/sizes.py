"""How much memory a log would take, before it is read, and how much is free."""

from collections.abc import Sequence
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.files import READING_ERRORS, LogFile, file_kind

BYTES_A_ROW = 200
"""What an event of a Parquet file takes at most while pandas prepares it in memory."""
BYTES_A_LINE = 300
"""The same of a line of text, whose fields are text at first."""
SAMPLED = 1 << 20
TEXT_TO_GZIP = 5
"""About how many bytes of a log's text gzip puts into one."""
CGROUP = Path("/sys/fs/cgroup")


def memory_needed(files: Sequence[LogFile]) -> float:
    """Returns about how many bytes a log takes at most while it is prepared in memory."""
    return sum(map(_needed, files))


def free_memory(cgroup: Path = CGROUP) -> int:
    """Returns how many bytes are free on this machine, or in the container that limits this process.

    Args:
        cgroup: folder of the container's limits (cgroup v2).
    """
    free = int(psutil.virtual_memory().available)
    try:
        limit, used, stat = (
            (cgroup / f"memory.{name}").read_text(encoding="ascii") for name in ("max", "current", "stat")
        )
    except OSError:
        return free
    if limit.strip() == "max":
        return free
    # Pages of files, which can be dropped, count as used.
    pages = dict(line.split() for line in stat.splitlines())["inactive_file"]
    return min(free, int(limit) - int(used) + int(pages))


def _needed(file: LogFile) -> float:
    try:
        if file_kind(file.path) == "parquet":
            return _values(file.path) * BYTES_A_ROW
        return lines_of(file.path) * BYTES_A_LINE
    except READING_ERRORS:
        return 0.0  # who reads it will say what is wrong


def _values(path: Path) -> int:
    """Rows of a Parquet file; of a column of lists it counts what is in them."""
    data = pq.read_metadata(path)
    groups = [data.row_group(number) for number in range(data.num_row_groups)]
    columns = range(data.num_columns)
    return max((sum(group.column(c).num_values for group in groups) for c in columns), default=0)


def lines_of(path: Path) -> float:
    """Returns about how many lines a file of text has, by its first ones."""
    with pa.input_stream(str(path), compression="detect") as stream:
        start = stream.read(SAMPLED)
    lines = start.count(b"\n") or 1
    if len(start) < SAMPLED:
        return lines
    size = path.stat().st_size
    return lines / len(start) * size * (TEXT_TO_GZIP if path.suffix == ".gz" else 1)
