"""One version behind the real embedded server, in a process of its own, so that its memory is its own."""

import contextlib
import logging
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from serving.settings import ServerSettings
from tfrec.errors import DataError, TfrecError

_END_S = 60.0


class VersionError(DataError):
    """A version does not come into service."""


@dataclass(frozen=True)
class RunningVersion:
    """A version that serves.

    Attributes:
        folder: servables/NAME/VERSION.
        target: host:port.
        start_s: seconds from the start of its process until it served, the warm-up requests answered.
        warm_up: its warm-up requests, serialized PredictRequests.
        pid: its process.
    """

    folder: Path
    target: str
    start_s: float
    warm_up: list[bytes]
    pid: int

    def peak_mb(self) -> float | None:
        """The most resident memory that the process ever had, in MB; None where the system does not tell."""
        try:
            lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        found = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
        return round(found[0] / 1024, 1) if found else None


def check_version_folder(folder: Path) -> Path:
    """The folder, where it is one of a version.

    Raises:
        DataError: it is not there, or has no number for a name.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder. Name a version's folder, servables/NAME/VERSION.")
    if not (folder.resolve().name.isascii() and folder.resolve().name.isdigit()):
        raise DataError(
            f"{folder} is no version's folder: its name is no number. Name servables/NAME/VERSION."
        )
    return folder


@contextlib.contextmanager
def serving_version(folder: Path, start_timeout_s: float) -> Iterator[RunningVersion]:
    """Serves one version on a free port of loopback while the block runs.

    Args:
        folder: servables/NAME/VERSION; other versions beside it are not looked at.
        start_timeout_s: how long loading and warming up may take.

    Raises:
        VersionError: it does not load, fails on a warm-up request, takes too long, or ends its process.
        ModuleNotFoundError: a package that serving needs is not installed.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(folder.resolve(), theirs), daemon=True)
    began = time.perf_counter()
    process.start()
    theirs.close()
    try:
        port, warm_up = _started(folder, process, ours, start_timeout_s)
        assert process.pid is not None
        seconds = time.perf_counter() - began
        yield RunningVersion(folder, f"127.0.0.1:{port}", round(seconds, 2), warm_up, process.pid)
    finally:
        # The end of the pipe is what the server waits for.
        ours.close()
        process.join(_END_S)
        if process.is_alive():
            process.kill()
            process.join()


def _started(folder: Path, process: Any, ours: Connection, start_timeout_s: float) -> tuple[int, list[bytes]]:
    if not ours.poll(start_timeout_s):
        process.kill()
        raise VersionError(f"{folder} did not serve within {start_timeout_s:g} s.")
    try:
        told = ours.recv()
    except EOFError:
        process.join()
        raise VersionError(
            f"{folder}: the server's process ended with exit code {process.exitcode} while it loaded. "
            "Was there memory enough?"
        ) from None
    if isinstance(told, ModuleNotFoundError):
        raise told
    if isinstance(told, TfrecError):
        raise VersionError(str(told)) from told
    port, warm_up = told
    return port, warm_up


def _serve(folder: Path, connection: Connection) -> None:
    """Serves until the other end of the connection closes, as it does when its process dies, too."""
    # Ctrl-C is for the program that started this one, which then closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Why a version does not load goes back to that program, which says it.
    log = logging.getLogger("tfrec.serving")
    log.setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as place:
        # A folder in which this version is the only one.
        link = Path(place) / folder.parent.name / folder.name
        link.parent.mkdir()
        link.symlink_to(folder, target_is_directory=True)
        try:
            from serving.server import running
            from serving.warmup import warm_up_requests

            with running(ServerSettings(link.parent, port=0)) as server:
                warm_up = [request.SerializeToString() for request in warm_up_requests(folder)]
                log.setLevel(logging.NOTSET)
                connection.send((server.port, warm_up))
                with contextlib.suppress(EOFError):
                    connection.recv()
        except TfrecError as error:
            connection.send(VersionError(str(error).replace(str(link.parent), str(folder.parent))))
        except ModuleNotFoundError as error:
            connection.send(error)
