"""A server's command begins to serve: in this process, or in several that share its port."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

from tfrec.cli.app import needs_extra
from tfrec.cli.logs import LogFormat, write_logs


def run_server(
    command: str,
    server: str,
    settings: Any,
    on_start: Callable[[int], None],
    *,
    log_format: LogFormat,
    extra: str,
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        command: the command's name.
        server: module with `run(settings, on_start)`.
        settings: a `ListenSettings`, which says how many processes.
        on_start: called with the port, once the server listens.
        log_format: of the log of each.
        extra: what has to be installed for it.
    """
    if settings.processes == 1:
        with needs_extra(command, extra):
            run = importlib.import_module(server).run
        run(settings, lambda started: on_start(started.port))
        return
    with needs_extra(command, extra):
        from serving.processes import run_processes

        run_processes(server, settings, on_start, functools.partial(write_logs, log_format))
