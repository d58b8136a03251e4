"""One of several processes of a server: started, listened to, started anew where it ends."""

import importlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import connection
from typing import Any

from serving.settings import ListenSettings
from tfrec.errors import TfrecError

log = logging.getLogger("tfrec.serving")

LONGEST_PAUSE_S = 30.0
_SPAWNED = multiprocessing.get_context("spawn")
"""As a program of its own: a fork would share gRPC's and TensorFlow's threads, which no process can."""


class Member:
    """A process of a server, as the one that looks after it sees it.

    Args:
        server: module with `run(settings, on_start)`.
        settings: what to serve, and where.
        prepare: called first in the process.

    Attributes:
        serves: whether it has said that it listens.
        failure: why it cannot, where it has said that.
    """

    def __init__(self, server: str, settings: ListenSettings, prepare: Callable[[], object]) -> None:
        self._work = (server, settings, prepare)
        self._process: Any = None
        self._said: connection.Connection | None = None
        self._failures = 0
        self._again_at: float | None = None
        self.serves = False
        self.failure: Exception | None = None

    def start(self) -> None:
        """Starts the process; `signs` tell how it goes on."""
        self._said, saying = connection.Pipe(duplex=False)
        self.serves, self.failure, self._again_at = False, None, None
        process = _SPAWNED.Process(target=_serve, args=(*self._work, saying))
        process.start()
        self._process = process
        saying.close()

    @property
    def signs(self) -> list[Any]:
        """What can be waited for: it says something, or ends."""
        if self._again_at is not None:
            return []
        return [self._process.sentinel, *([self._said] if self._said else [])]

    @property
    def ended(self) -> bool:
        """Whether the process is no more."""
        return self._process is not None and not self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """Of a process that has ended; -9 where it was killed by that signal."""
        code: int | None = self._process.exitcode
        return code

    def listen(self) -> None:
        """Takes up what the process has said."""
        if self._said is not None and self._said.poll():
            try:
                self.failure = self._said.recv()
                self.serves = self.failure is None
            except EOFError:
                pass
            self._said.close()
            self._said = None

    def tend(self, now: float) -> float | None:
        """Starts the process anew where it has ended: at once the first time, later and later where it does
        not come to serve.

        Returns:
            Seconds until it wants to be looked at again; None: when its `signs` say so.
        """
        self.listen()
        if self.serves:
            self._failures = 0
        if self._again_at is None and self.ended:
            pause = min(2.0**self._failures - 1, LONGEST_PAUSE_S)
            self._failures += 1
            self._again_at = now + pause
            log.error(
                "a process of the server ended with exit code %s; the next starts in %d s",
                self.exit_code,
                pause,
            )
        if self._again_at is not None and now >= self._again_at:
            self.start()
        return None if self._again_at is None else self._again_at - now

    def terminate(self) -> None:
        """Tells the process to stop gracefully."""
        if self._process is not None:
            self._process.terminate()

    def join(self) -> None:
        """Waits until the process has ended."""
        if self._process is not None:
            self._process.join()


def _serve(server: str, settings: ListenSettings, prepare: Callable[[], object], saying: Any) -> None:
    """What a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who looks after us says when to stop
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    prepare()
    try:
        importlib.import_module(server).run(settings, lambda _: saying.send(None))
    except (TfrecError, ImportError) as error:
        saying.send(error)


def _end_with_parent() -> None:
    """Stops this process, gracefully, where the one that looks after it is no more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
