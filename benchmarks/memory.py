"""The memory of this process."""

from pathlib import Path


def peak_mb() -> int:
    """Returns the most memory that this program has held, in MB.

    Unlike the resource usage of the system, VmHWM begins anew with the program, so that a large
    parent leaves no trace.
    """
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024)
    raise OSError("/proc/self/status has no VmHWM: peak memory is read on Linux alone")
