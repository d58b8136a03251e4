"""Work in processes of its own: what one run leaves behind meets no other, and its memory is its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.places import ROOT

T = TypeVar("T")


def in_fresh_process(function: Callable[..., T], *arguments: Any) -> T:
    """Returns what the function returns in a new process; its exceptions come through."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def run_json(command: Sequence[str | Path]) -> tuple[dict[str, Any], int]:
    """Runs a program that prints one JSON object as its last line; its stderr is ours.

    Returns:
        The object, and the most memory that the program ever held, in MB.
    """
    words = [str(word) for word in command]
    # TensorFlow's start-up notes would hide what the program itself says.
    surroundings = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=surroundings) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or not printed.strip():
        sys.exit(f"`{' '.join(words)}` failed with exit code {process.returncode}; see above")
    return json.loads(printed.strip().splitlines()[-1]), round(used.ru_maxrss / 1024)
