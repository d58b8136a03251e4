"""A closed loop of gRPC calls, made to run in a process of its own, without TensorFlow."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc

from serving.rollout.load import connected


@dataclass
class Load:
    """What came of a run.

    Attributes:
        seconds: from the first call to the last answer.
        latencies: seconds of each call.
        errors: texts of the calls that failed.
        answers: the answers in bytes, where they are kept.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)


def run_load(
    target: str,
    requests: Sequence[bytes],
    concurrency: int,
    seconds: float,
    *,
    count: int | None = None,
    connections: int = 1,
    keep_answers: bool = False,
    into: Load | None = None,
) -> Load:
    """Calls Predict from `concurrency` callers, each anew as soon as it is answered.

    The requests are serialized before, and answers stay bytes, so that the clock shows the server.

    Args:
        target: host:port.
        requests: serialized PredictRequests, asked in turn.
        concurrency: callers.
        seconds: when to stop.
        count: or after how many calls.
        connections: that the callers share, for servers of several processes, which each get some.
        keep_answers: whether `Load.answers` holds the serialized answers.
        into: what to fill, for a caller in another thread that watches it grow.
    """
    load = into or Load()
    asyncio.run(_run(load, target, requests, concurrency, seconds, count, connections, keep_answers))
    return load


async def _run(
    load: Load,
    target: str,
    requests: Sequence[bytes],
    concurrency: int,
    seconds: float,
    count: int | None,
    connections: int,
    keep_answers: bool,
) -> None:
    async with connected(target, connections) as calls:
        places = iter(range(count) if count is not None else iter(int, 1))
        began = time.perf_counter()

        async def caller(first: int) -> None:
            call = calls[first % connections]
            for turn, _ in enumerate(places):
                start = time.perf_counter()
                if start - began > seconds:
                    return
                try:
                    answer = await call(requests[(first + turn * concurrency) % len(requests)], timeout=60)
                except grpc.aio.AioRpcError as error:
                    load.errors.append(f"{error.code().name}: {error.details()}")
                    continue
                load.latencies.append(time.perf_counter() - start)
                if keep_answers:
                    load.answers.append(answer)

        await asyncio.gather(*(caller(first) for first in range(concurrency)))
        load.seconds = time.perf_counter() - began
