"""Which engine prepares a log: pandas, in memory, or Dask, in parts."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field
from rich.console import Console

from data_prep.options import PrepareOptions
from data_prep.sizes import free_memory, memory_needed
from data_prep.sources import Source
from tfrec.errors import MissingExtraError, SettingsError
from tfrec.frozen import Frozen

Engine = Literal["auto", "pandas", "dask"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

GIB = 2**30


class DaskOptions(Frozen):
    """Where and how Dask works."""

    scheduler: str | None = Field(None, description="address of a running one; None: on this machine")
    workers: int | None = Field(None, ge=1, description="processes on this machine; None: one a core")
    memory: float | None = Field(
        None, gt=0, description="GiB that all of them may hold; None: half of what is free"
    )
    partitions: int | None = Field(None, ge=1, description="parts of the log; None: by its size")
    piece_rows: int = Field(1_000_000, ge=1, description="rows of a file that are read at once")


def chosen_engine(
    engine: Engine, known: Source, paths: Sequence[Path], options: PrepareOptions, console: Console
) -> Literal["pandas", "dask"]:
    """Returns the engine that prepares a log.

    Args:
        engine: what is asked for; `auto`: Dask where pandas would need more than half of the free memory,
            and where Dask is installed and can do the job.
        known: source of the log.
        paths: files or folders of it.
        options: of the preparation.
        console: where it is said that `auto` has found a large log.

    Raises:
        SettingsError: Dask is asked for, and the job needs the whole log at once.
        MissingExtraError: Dask is asked for, and is not installed.
    """
    if engine == "pandas":
        return "pandas"
    whole = _needs_whole_log(known, options)
    installed = importlib.util.find_spec("distributed") is not None
    if engine == "dask":
        if whole:
            raise SettingsError(f"--engine dask works on parts of a log, but {whole}. Say --engine pandas.")
        if not installed:
            raise MissingExtraError("prepare --engine dask", "dask", "distributed")
        return "dask"
    need, free = memory_needed(known.files(paths, options)), free_memory()
    if need <= free / 2:
        return "pandas"
    large = f"The log takes about {need / GIB:.1f} GiB in memory; {free / GIB:.1f} GiB are free."
    if whole or not installed:
        why = f"{whole}" if whole else "it is not installed: pip install 'tfrec[dask]'"
        console.print(f"[yellow]{large} Dask would work on parts of it, but {why}.[/]", soft_wrap=True)
        return "pandas"
    console.print(f"{large} Dask works on parts of it.", soft_wrap=True)
    return "dask"


def _needs_whole_log(known: Source, options: PrepareOptions) -> str | None:
    """Why the job needs the whole log at once; None where it does not."""
    if known.checked is not None:
        return "the events of this source must be checked together"
    if options.impressions is not None or options.sampled_impressions is not None:
        return "statistics of impressions are counted over all of it"
    return None
