"""How the C library gives memory back."""

import ctypes
import mmap
import os
import sys
from typing import Any

TRIM, TOP_PAD, MMAPS, ARENAS = -1, -2, -4, -8
"""Parameters of glibc's `mallopt`."""
NEVER = -1
MIB = 2**20
HUGE_PAGE = 2 * MIB
SHARE = 4
"""One of so many parts of the machine's memory is asked for as huge pages."""
_keeps = False


def keep_freed_memory(*, one_arena: bool = True) -> None:
    """Lets this process keep what it frees, instead of giving it back to the system, and have huge pages.

    Steps of a training and batches of requests ask for the same hundreds of megabytes again and again. Taken
    from the system each time, their pages are cleared and mapped each time, which takes as long as a matrix
    product that fills them.

    To be called before TensorFlow begins its threads, by a program whose process this is; a second call
    changes nothing. Without effect where the C library is not glibc.

    Args:
        one_arena: for all threads, since those of single threads give back what is free at their end whatever
            they are told. Not for servers, whose threads ask for little things all the time, and would wait
            for each other.
    """
    global _keeps
    mallopt = _of_glibc("mallopt")
    if mallopt is not None and not _keeps:
        _keeps = True
        if one_arena:
            mallopt(ARENAS, 1)
        for parameter, value in ((MMAPS, 0), (TRIM, NEVER), (TOP_PAD, 64 * MIB)):
            mallopt(parameter, value)
        _ask_for_huge_pages()


def give_back_freed_memory() -> None:
    """Gives what is free back to the system, from between what is held, too, and from every thread's arena.

    For when something large has just gone; without effect where the C library is not glibc.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)
    if _keeps:
        _ask_for_huge_pages()


def _ask_for_huge_pages() -> None:
    """Makes room at the end of the heap, of which nothing is used yet, and says how its pages are to be."""
    malloc, free, advise = (_of_glibc(name) for name in ("malloc", "free", "madvise"))
    malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE
    place = malloc(size)
    if place is None:
        return
    begin = -(-place // HUGE_PAGE) * HUGE_PAGE
    length = (place + size - begin) // HUGE_PAGE * HUGE_PAGE
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    advise(begin, length, mmap.MADV_HUGEPAGE)
    free(place)


def _of_glibc(name: str) -> Any:
    """A function of glibc; None where there is none."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
