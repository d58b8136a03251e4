"""Errors that speak to the person at the keyboard rather than to a debugger."""


class TfrecError(Exception):
    """Base of every error that tfrec raises on purpose.

    The message names what was looked at (file, column, row or field), what was found, what was
    expected, and what to do. The command line prints it without a traceback and exits with 2.
    """


class DataError(TfrecError, ValueError):
    """A log, a dataset or a request holds something that cannot be used."""


class SettingsError(TfrecError, ValueError):
    """A setting is unknown, of the wrong type, out of range, or in conflict with another."""


class LostWorkerError(TfrecError, RuntimeError):
    """One of the processes that train a model together is gone, or cannot be reached."""


class MissingExtraError(TfrecError, ImportError):
    """A command needs packages of an extra that is not installed."""

    def __init__(self, command: str, extra: str, missing: str) -> None:
        super().__init__(
            f"`tfrec {command}` needs the package {missing!r}, which is not installed. "
            f"Install the extra: pip install 'tfrec[{extra}]'"
        )
