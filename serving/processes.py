"""Several processes of one server behind one port, each with its own interpreter.

One process reads requests and writes answers on one thread, and Python lets its other threads run only while
that one waits, so that a second core is never quite used. Of several processes that listen on the same port
(SO_REUSEPORT) the system gives each new connection to one.
"""

import contextlib
import dataclasses
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from typing import Any

from serving.member import Member
from serving.settings import ListenSettings
from tfrec.errors import SettingsError, TfrecError

log = logging.getLogger("tfrec.serving")


def run_processes(
    server: str,
    settings: ListenSettings,
    on_start: Callable[[int], None],
    prepare: Callable[[], object],
) -> None:
    """Serves with several processes until SIGTERM or SIGINT, then stops them gracefully.

    A process that ends by itself is started anew, and the others answer meanwhile.

    Args:
        server: module with `run(settings, on_start)`, imported by the processes alone.
        settings: what to serve, where, and with how many processes. Metrics of the first are at
            `metrics_port`, of the others at the next ones.
        on_start: called with the port, once all of them listen.
        prepare: called first in each process; can be pickled.

    Raises:
        SettingsError: the system cannot share a port, or the port is taken.
        TfrecError: a process cannot begin to serve.
    """
    with contextlib.ExitStack() as ending:
        port = ending.enter_context(_kept_port(settings))
        told = ending.enter_context(_told_to_stop())
        members = [
            Member(server, _of_process(settings, port, place), prepare) for place in range(settings.processes)
        ]
        ending.callback(_stop, members)
        for member in members:
            member.start()
        if all(_serves(member, told) for member in members):
            on_start(port)
            _look_after(members, told)
            log.info("stopping: running requests get %s s", settings.drain_s)


def _of_process(settings: ListenSettings, port: int, place: int) -> ListenSettings:
    metrics_port = settings.metrics_port + place if settings.metrics_port else 0
    return dataclasses.replace(settings, port=port, metrics_port=metrics_port)


def _serves(member: Member, told: connection.Connection) -> bool:
    """Waits until a process serves; False where all are told to stop before."""
    while not member.serves:
        if told in connection.wait([told, *member.signs]):
            return False
        member.listen()
        if member.failure is not None:
            raise member.failure
        if member.ended:
            raise TfrecError(
                f"a process of the server ended with exit code {member.exit_code} before it served; the log "
                "says why."
            )
    return True


def _look_after(members: Sequence[Member], told: connection.Connection) -> None:
    """Starts anew what ends, until told to stop."""
    while True:
        now = time.monotonic()
        pauses = [pause for member in members if (pause := member.tend(now)) is not None]
        signs = [sign for member in members for sign in member.signs]
        if told in connection.wait([told, *signs], min(pauses, default=None)):
            return


def _stop(members: Sequence[Member]) -> None:
    for member in members:
        member.terminate()
    for member in members:
        member.join()


@contextlib.contextmanager
def _kept_port(settings: ListenSettings) -> Iterator[int]:
    """A port that the processes may share, and nobody takes while all of them are away."""
    if not hasattr(socket, "SO_REUSEPORT"):
        raise SettingsError("this system shares no port between processes; serve with one process.")
    try:
        found = socket.getaddrinfo(settings.host.strip("[]"), settings.port, type=socket.SOCK_STREAM)
        family, _, _, _, place = found[0]
        # Who listens there has the port, even if it would share it: with others of its own.
        _bound(family, place, socket.SO_REUSEADDR).close()
        kept = _bound(family, place, socket.SO_REUSEPORT)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port}. Is the port taken? Choose another by --port. "
            f"({error})"
        ) from error
    with kept:
        yield kept.getsockname()[1]


def _bound(family: socket.AddressFamily, place: Any, option: int) -> socket.socket:
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind(place)
    except BaseException:
        made.close()
        raise
    return made


@contextlib.contextmanager
def _told_to_stop() -> Iterator[connection.Connection]:
    """What can be read once SIGTERM or SIGINT has come."""
    reading, writing = connection.Pipe(duplex=False)
    before = {
        number: signal.signal(number, lambda *_: writing.send_bytes(b""))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield reading
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
