"""The embedded server as a process of its own, started by its own command."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAM = "from tfrec.cli import main; main()"


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """Runs `tfrec serve FOLDER` on a free port of loopback while the block runs, and yields host:port.

    Raises:
        RuntimeError: the server does not start, or does not stop with exit code 0.
    """
    command = [sys.executable, "-c", PROGRAM, "serve", str(folder), "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if " serves on " not in line:
                raise RuntimeError(f"the server did not start: {' '.join(command)}")
            yield line.strip().rpartition(" ")[2]
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=60)
    if code:
        raise RuntimeError(f"the server stopped with exit code {code}")
