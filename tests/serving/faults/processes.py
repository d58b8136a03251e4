"""Servers as processes of their own, under limits and in surroundings of a test's choice."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

COMMAND = (sys.executable, "-c", "from tfrec.cli import main; main()")
# In a process between: gRPC's threads do not stand a Python that runs between fork and exec.
LIMITED = """
import os, resource, sys
kind = getattr(resource, sys.argv[1])
resource.setrlimit(kind, (int(sys.argv[2]), resource.getrlimit(kind)[1]))
os.execv(sys.argv[3], sys.argv[3:])
"""


def limited(name: str, value: int, *command: object) -> list[str]:
    """A command under a limit of the system's, `RLIMIT_…`."""
    return [sys.executable, "-I", "-S", "-c", LIMITED, name, str(value), *map(str, command)]


@dataclass
class Process:
    """A server that has said that it serves.

    Attributes:
        popen: the process.
        port: where it listens.
    """

    popen: subprocess.Popen[str]
    port: int

    @property
    def seen(self) -> psutil.Process:
        """The process as the system sees it: its files, its memory."""
        return psutil.Process(self.popen.pid)


@contextlib.contextmanager
def started(
    *words: object,
    env: Mapping[str, str] | None = None,
    stderr: Any = subprocess.DEVNULL,
    files: int | None = None,
) -> Iterator[Process]:
    """Runs `tfrec WORDS --port 0` while the block runs.

    Args:
        words: of the command.
        env: variables besides those of this process.
        stderr: where its log goes.
        files: that it may open, to begin with.
    """
    command = [*COMMAND, *map(str, words), "--port", "0"]
    if files is not None:
        command = limited("RLIMIT_NOFILE", files, *command)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(env or {})},
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert ":" in line, f"{command} did not start"
            yield Process(process, int(line.rsplit(":", 1)[1]))
        finally:
            process.kill()
