"""Who trains a model together, from the environment of a process."""

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tfrec.errors import SettingsError

Strategy = Literal["none", "mirrored", "multiworker"]
TF_CONFIG = "TF_CONFIG"
INDEX = "JOB_COMPLETION_INDEX"
WORKERS, SERVICE, PORT = "TFREC_WORKERS", "TFREC_SERVICE", "TFREC_PORT"
DEFAULT_PORT = "2222"
WAYS = (
    f"Say {TF_CONFIG} yourself, or run as an Indexed Job of Kubernetes with {WORKERS} (its completions) and "
    f"{SERVICE} (its headless Service)."
)

Address = Annotated[str, Field(pattern=r"^\S+:\d+$")]


class Members(BaseModel):
    """The addresses of all workers, in the order of their indices."""

    model_config = ConfigDict(extra="forbid")

    worker: Annotated[list[Address], Field(min_length=1)]


class Task(BaseModel):
    """Which of them a process is."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["worker"] = "worker"
    index: Annotated[int, Field(ge=0)]


class Cluster(BaseModel):
    """What TensorFlow reads from TF_CONFIG. Worker 0 is the chief, which writes checkpoints and the model."""

    cluster: Members
    task: Task

    @model_validator(mode="after")
    def _index_is_of_a_worker(self) -> "Cluster":
        if self.task.index >= len(self.cluster.worker):
            raise ValueError(f"task.index {self.task.index}: there are {len(self.cluster.worker)} workers")
        return self

    @property
    def chief(self) -> bool:
        return self.task.index == 0


def cluster_of(environment: Mapping[str, str]) -> Cluster:
    """Returns the cluster that a process belongs to.

    Args:
        environment: of the process. TF_CONFIG says it all; else, in an Indexed Job of Kubernetes, whose pods
            are named JOB-INDEX, the addresses are JOB-INDEX.TFREC_SERVICE:TFREC_PORT, TFREC_WORKERS of them.

    Raises:
        SettingsError: it says neither, or what makes no sense.
    """
    if TF_CONFIG in environment:
        return _parsed(environment[TF_CONFIG])
    if missing := [name for name in (INDEX, WORKERS, SERVICE, "HOSTNAME") if not environment.get(name)]:
        raise SettingsError(
            f"--strategy multiworker: {missing[0]} is not set, and {TF_CONFIG} neither. {WAYS}"
        )
    index, host, count = environment[INDEX], environment["HOSTNAME"], environment[WORKERS]
    if not host.endswith(f"-{index}"):
        raise SettingsError(
            f"HOSTNAME {host!r}: expected the name of the Job, then -{index} ({INDEX}). {WAYS}"
        )
    if not (count.isdecimal() and int(count)):
        raise SettingsError(f"{WORKERS}={count!r}: expected a number of workers, as the Job's completions")
    job, port = host.removesuffix(f"-{index}"), environment.get(PORT) or DEFAULT_PORT
    addresses = [f"{job}-{number}.{environment[SERVICE]}:{port}" for number in range(int(count))]
    return _parsed(
        json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": int(index)}})
    )


def _parsed(text: str) -> Cluster:
    try:
        return Cluster.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsError(
            f"{TF_CONFIG} {text!r}: {place + ': ' if place else ''}{first['msg']}. Expected "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}.'
        ) from error
