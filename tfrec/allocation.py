"""How the C library gives memory back."""

import ctypes
import sys
from typing import Any

TRIM, TOP_PAD, MMAP, ARENAS = -1, -2, -3, -8
"""Parameters of glibc's `mallopt`."""
MIB = 2**20


def keep_freed_memory() -> None:
    """Lets this process keep what it frees, up to 2 GiB, instead of giving it back to the system.

    Steps of a batch job ask for the same tens of megabytes again and again. Taken from the system each time,
    their pages are cleared each time, which takes about as long as a matrix product that fills them. All
    threads share one arena, since those of single threads give back what is free whatever they are told.

    To be called before TensorFlow begins its threads; without effect where the C library is not glibc.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        for parameter, size in ((ARENAS, 1), (MMAP, 32 * MIB), (TRIM, 2048 * MIB - 1), (TOP_PAD, 256 * MIB)):
            mallopt(parameter, size)


def give_back_freed_memory() -> None:
    """Gives what is free back to the system, from between what is held, too, and from every thread's arena.

    For when something large has just gone; without effect where the C library is not glibc.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Any:
    """A function of glibc; None where there is none."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
