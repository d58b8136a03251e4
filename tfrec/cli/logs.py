"""The log of a server's command: lines for people, or JSON for machines, on stderr."""

import io
import logging
import os
import sys
import threading
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.logging import RichHandler

NATIVE = "native"
"""The logger of what libraries print."""
_FIELDS = ("levelname", "name", "message")
_NAMES = {"levelname": "level", "name": "logger", "exc_info": "exception"}


class LogFormat(StrEnum):
    """How a log is written."""

    TEXT = "text"
    JSON = "json"


def write_logs(form: LogFormat, *, of_libraries: bool = True) -> Console:
    """Lets everything that is logged from INFO on be written to stderr.

    A line of JSON has `time` (ISO 8601, UTC), `level`, `logger`, `message`, `exception` where there is one,
    and the fields that the message was logged with.

    Args:
        form: how.
        of_libraries: whether lines of JSON are also made of what libraries print. Not in a process whose
            children do that for themselves: they would write into what is read here.

    Returns:
        The console for what is shown besides; silent where the log is for machines.
    """
    console = Console(stderr=True, quiet=form is LogFormat.JSON)
    if form is LogFormat.JSON:
        # TensorFlow's own notes on the machine would be many; what fails is raised too.
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        if of_libraries:
            _log_what_libraries_print()
        handler: logging.Handler = logging.StreamHandler()
        handler.setFormatter(_json_formatter())
    else:
        handler = RichHandler(console=console, show_path=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    return console


def _log_what_libraries_print() -> None:
    """Makes entries of the log of what libraries print to stderr past Python, as TensorFlow does.

    Python's own `sys.stderr` goes where it went.
    """
    reading, writing = os.pipe()
    # Without a buffer, so that a line which cannot be written is lost and forgotten.
    raw: Any = io.FileIO(os.dup(2), "w")
    sys.stderr = io.TextIOWrapper(raw, errors="backslashreplace", write_through=True)
    os.dup2(writing, 2)
    os.close(writing)

    def log() -> None:
        with os.fdopen(reading, errors="replace") as lines:
            for line in lines:
                logging.getLogger(NATIVE).info(line.rstrip())

    threading.Thread(target=log, name="stderr of libraries", daemon=True).start()


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(_FIELDS, timestamp="time", rename_fields=_NAMES)
