"""The log of a server's command: lines for people, or JSON for machines, on stderr."""

import logging
import os
from enum import StrEnum

from rich.console import Console
from rich.logging import RichHandler

_FIELDS = ("levelname", "name", "message")
_NAMES = {"levelname": "level", "name": "logger", "exc_info": "exception"}


class LogFormat(StrEnum):
    """How a log is written."""

    TEXT = "text"
    JSON = "json"


def write_logs(form: LogFormat) -> Console:
    """Lets everything that is logged from INFO on be written to stderr.

    A line of JSON has `time` (ISO 8601, UTC), `level`, `logger`, `message`, `exception` where there is one,
    and the fields that the message was logged with.

    Returns:
        The console for what is shown besides; silent where the log is for machines.
    """
    console = Console(stderr=True, quiet=form is LogFormat.JSON)
    if form is LogFormat.JSON:
        handler: logging.Handler = logging.StreamHandler()
        handler.setFormatter(_json_formatter())
        # TensorFlow's own notes on the machine would be lines of text in between; what fails is raised too.
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    else:
        handler = RichHandler(console=console, show_path=False)
        handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    return console


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(_FIELDS, timestamp="time", rename_fields=_NAMES)
