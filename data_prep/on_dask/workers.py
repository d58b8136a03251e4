"""The processes that work: of this machine, or of a cluster that runs already."""

import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import dask
from distributed import Client, KilledWorker, LocalCluster, as_completed

from data_prep.engines import GIB, DaskOptions
from data_prep.sizes import free_memory
from tfrec.errors import DataError, SettingsError

RETRIES = 2
ANSWER_S = 10


class Workers:
    """Runs functions on the workers of a Dask cluster.

    Args:
        client: of the cluster.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def map(
        self,
        function: Callable[..., Any],
        *arguments: Collection[Any],
        told: Callable[[float], None] | None = None,
    ) -> list[Any]:
        """Returns what a function gives for each set of arguments, in their order.

        Args:
            function: to run; the same arguments may come twice, where a worker was lost.
            arguments: as those of `map`.
            told: is given the share of the work that is done.

        Raises:
            DataError: workers die of a task, again and again.
        """
        futures = self._client.map(function, *arguments, pure=False, retries=RETRIES)
        try:
            for done, _ in enumerate(as_completed(futures, loop=self._client.loop), 1):
                if told is not None:
                    told(done / len(futures))
            return self._client.gather(futures)
        except KilledWorker as error:
            raise DataError(
                "Dask's workers died again and again at the same part of the log, most likely for want of "
                "memory. Give them more with --memory, or smaller parts with --partitions."
            ) from error
        finally:
            self._client.cancel(futures)


@contextlib.contextmanager
def workers_of(options: DaskOptions, scratch: Path) -> Iterator[Workers]:
    """Yields the workers.

    Args:
        options: where they are.
        scratch: for what workers of this machine write.

    Raises:
        SettingsError: no scheduler answers at the address.
    """
    if options.scheduler is not None:
        try:
            client = Client(options.scheduler, timeout=ANSWER_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"--scheduler {options.scheduler}: no Dask scheduler answers ({error}). Expected an address "
                "such as tcp://10.0.0.1:8786; `dask scheduler` starts one."
            ) from error
        with client:
            yield Workers(client)
        return
    count = options.workers or dask.system.CPU_COUNT
    memory = options.memory * GIB if options.memory else free_memory() / 2
    with (
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            memory_limit=int(memory / count),
            dashboard_address="127.0.0.1:0",
            local_directory=str(scratch),
            silence_logs="ERROR",
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield Workers(client)
