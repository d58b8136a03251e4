"""Work in processes of its own: what one run leaves behind meets no other, and its memory is its own."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.places import ROOT

T = TypeVar("T")

LAUNCH = (
    "import os, subprocess, sys; process = subprocess.Popen(sys.argv[2:]); "
    "_, status, used = os.wait4(process.pid, 0); os.write(int(sys.argv[1]), b'%d' % used.ru_maxrss); "
    "sys.exit(os.waitstatus_to_exitcode(status) & 255)"
)
"""A small process between: to the system a program's peak memory is no less than that of who called it."""


def in_fresh_process(function: Callable[..., T], *arguments: Any) -> T:
    """Returns what the function returns in a new process; its exceptions come through."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def in_fresh_processes(function: Callable[..., T], *arguments: Any, count: int) -> list[T]:
    """Returns what the function returns in so many new processes at once; it is told its number, last."""
    with ProcessPoolExecutor(count, get_context("spawn")) as pool:
        return [done.result() for done in [pool.submit(function, *arguments, n) for n in range(count)]]


def free_addresses(count: int) -> list[str]:
    """Returns so many addresses of loopback at which nobody listens."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in held]
    for server in held:
        server.close()
    return addresses


def run_json(command: Sequence[str | Path]) -> tuple[dict[str, Any], int]:
    """Runs a program that prints one JSON object as its last line; its stderr is ours.

    Returns:
        The object, and the most memory that the program ever held, in MB.
    """
    words = [str(word) for word in command]
    # TensorFlow's start-up notes would hide what the program itself says.
    surroundings = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    ours, theirs = os.pipe()
    launch = [sys.executable, "-I", "-S", "-c", LAUNCH, str(theirs), *words]
    with (
        os.fdopen(ours) as told,
        subprocess.Popen(
            launch, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=surroundings, pass_fds=[theirs]
        ) as process,
    ):
        os.close(theirs)
        printed, _ = process.communicate()
        peak_kb = told.read()
    if process.returncode or not printed.strip():
        sys.exit(f"`{' '.join(words)}` failed with exit code {process.returncode}; see above")
    return json.loads(printed.strip().splitlines()[-1]), round(int(peak_kb) / 1024)
