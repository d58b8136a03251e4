"""The processes and devices that train one model together."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.distribution.cluster import TF_CONFIG, Strategy, cluster_of
from tfrec.errors import LostWorkerError, SettingsError

SEED_STATE = "seed_generator_state"


class Workers:
    """Who takes part. A step's batch is cut into as many shares as there are replicas, one for each.

    Args:
        strategy: of TensorFlow; None: this process alone, on its first device.
        index: of this process.
        count: of processes.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy | None = None, index: int = 0, count: int = 1
    ) -> None:
        self.strategy = strategy
        self.index = index
        self.count = count
        self.replicas = 1 if strategy is None else strategy.num_replicas_in_sync

    @property
    def chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.index == 0

    @property
    def shares(self) -> range:
        """Which shares of a batch this process computes."""
        own = self.replicas // self.count
        return range(self.index * own, (self.index + 1) * own)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Inside, variables are made on every replica: the same on all, but for the state of chance."""
        if self.strategy is None:
            yield
            return
        with self.strategy.scope(), tf.variable_creator_scope(_own_chance):
            yield

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Inside, a worker that is gone ends the others: what they wait for will not come.

        Raises:
            LostWorkerError: in place of TensorFlow's errors, where there are several processes.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self.count == 1:
                raise
            reason = error.message.partition("\n")[0]
            raise LostWorkerError(
                f"worker {self.index} of {self.count} stops, another is gone or out of reach ({reason}). "
                "Start the same command again on all of them: it goes on from the last checkpoint."
            ) from error

    def require_divisible(self, rows: int) -> None:
        """Raises SettingsError where the rows of a batch cannot be cut into equal shares."""
        if rows % self.replicas:
            raise SettingsError(
                f"training.rows is {rows}: the batch of all replicas together. Expected a multiple of "
                f"{self.replicas}, as there are so many."
            )

    def part(self, places: np.ndarray) -> np.ndarray:
        """Returns this process's part of what is to be asked: as many for each, neighbours together."""
        return np.array_split(places, self.count)[self.index]

    def mean(self, values: np.ndarray) -> float:
        """Returns the mean over what all processes have; NaN where none has any."""
        if self.count == 1:
            return float(values.mean()) if len(values) else float("nan")
        total, count = self.sum(np.array([values.sum(), len(values)], np.float64))
        return float(total / count) if count else float("nan")

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum over processes of an array that each of them has; they wait for each other."""
        if self.count == 1:
            return values
        assert self.strategy is not None
        own = self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant(values))
        return np.asarray(self.strategy.reduce(tf.distribute.ReduceOp.SUM, own, axis=None))

    def stacked(self, values: np.ndarray) -> np.ndarray:
        """Returns what each process has of an array of the same shape: [processes, ...]."""
        every = np.zeros((self.count, *values.shape), values.dtype)
        every[self.index] = values
        return self.sum(every)

    def wait(self) -> None:
        """Returns when all processes have come here."""
        self.sum(np.zeros(1, np.float32))


def workers_of(name: Strategy) -> Workers:
    """Returns the workers of a strategy. To be called before TensorFlow computes anything.

    Args:
        name: `none`; `mirrored`, all GPUs of this machine, or its logical CPUs; `multiworker`, as
            `tfrec.distribution.cluster.cluster_of` finds in the environment.

    Raises:
        SettingsError: the environment says no cluster.
        LostWorkerError: TensorFlow could not join it.
    """
    if name == "none":
        return Workers()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        # A strategy of one device is none.
        several = len(devices) > 1
        return Workers(tf.distribute.MirroredStrategy([d.name for d in devices])) if several else Workers()
    cluster = cluster_of(os.environ)
    if len(cluster.cluster.worker) == 1:
        return workers_of("mirrored")
    os.environ[TF_CONFIG] = cluster.model_dump_json()
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, tf.errors.OpError) as error:
        own = cluster.cluster.worker[cluster.task.index]
        raise LostWorkerError(
            f"worker {cluster.task.index} ({own}) could not join {', '.join(cluster.cluster.worker)}: {error}"
        ) from error
    return Workers(strategy, cluster.task.index, len(cluster.cluster.worker))


def _own_chance(create: Any, **arguments: Any) -> Any:
    """Makes the state of seed generators each replica's own, which it may then advance by itself."""
    if SEED_STATE in (arguments.get("name") or ""):
        arguments["synchronization"] = tf.VariableSynchronization.ON_READ
        arguments["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return create(**arguments)
