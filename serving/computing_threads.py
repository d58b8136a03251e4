"""Threads that compute for a server, and let those go first who read requests and write answers."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

NICENESS = 5
"""Of 19. Where every core computes, the event loop would otherwise wait some milliseconds for one each time
that something comes in, and often with Python's lock in its hand, for which they wait in turn. Twice as much
gained little more here, and would leave them a tenth of a core beside strangers that compute."""


def computing_threads(count: int, name: str) -> ThreadPoolExecutor:
    """Returns threads of a lower priority than the event loop's, where the system has one for each thread.

    Args:
        count: how many.
        name: what their names begin with.
    """
    return ThreadPoolExecutor(count, thread_name_prefix=name, initializer=_give_way)


def _give_way() -> None:
    # Elsewhere than on Linux the number would be that of another process.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
