"""The servers as processes of their own, started by their own commands."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "from tfrec.cli import main; main()"


@dataclass(frozen=True)
class ServerProcess:
    """A server that listens.

    Attributes:
        target: host:port.
        pid: of its process.
    """

    target: str
    pid: int


@contextlib.contextmanager
def server_process(*words: str | Path) -> Iterator[ServerProcess]:
    """Runs `tfrec WORDS` on a free port of loopback while the block runs.

    Args:
        words: `serve` or `retrieval`, and what they serve.

    Raises:
        RuntimeError: the server does not start, or does not stop with exit code 0.
    """
    command = [sys.executable, "-c", PROGRAM, *map(str, words), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if " on " not in line:
                raise RuntimeError(f"the server did not start: {' '.join(command)}")
            yield ServerProcess(line.strip().rpartition(" ")[2], process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=60)
    if code:
        raise RuntimeError(f"the server stopped with exit code {code}")


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """Runs `tfrec serve FOLDER` while the block runs, and yields host:port.

    Raises:
        RuntimeError: as `server_process`.
    """
    with server_process("serve", folder, *options) as process:
        yield process.target
