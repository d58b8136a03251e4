"""What waits to be computed: pieces of requests, and those that may share a batch."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.computing import Answer
from serving.loading import Servable
from serving.settings import BatchSettings
from serving.signatures import Signature
from serving.tensors import Array


@dataclass(eq=False)
class Task:
    """A piece of a request that waits for its answer."""

    inputs: Mapping[str, Array]
    rows: int
    since: float
    deadline: float
    answer: "asyncio.Future[Answer]"
    waits: bool = True


@dataclass
class Queue:
    """Tasks that may share a batch."""

    servable: Servable
    signature: Signature
    batching: BatchSettings
    tasks: deque[Task] = field(default_factory=deque)
    rows: int = 0
