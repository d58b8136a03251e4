"""Waiting for what other threads and processes do."""

import threading
import time
from collections.abc import Callable

LOOKS_EVERY_S = 0.02
"""Looking all the time would take a core, or the interpreter, from those who are waited for."""


def until(holds: Callable[[], object], seconds: float, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Returns as soon as `holds()` is true.

    Args:
        holds: what is waited for.
        seconds: after which the test fails.
        goes_on: whether it can still come to hold; the test fails where it cannot.
    """
    last = time.monotonic() + seconds
    pause = threading.Event()
    while not holds():
        assert goes_on(), "what would make it hold has ended"
        assert time.monotonic() < last, "it never came to hold"
        pause.wait(LOOKS_EVERY_S)
