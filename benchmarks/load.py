"""A closed loop of gRPC calls, made to run in a process of its own, without TensorFlow."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc

from serving import wire

METHOD = f"/{wire.SERVICE}/Predict"


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
        keep_answers: whether `Load.answers` holds the serialized answers.
        into: what to fill, for a caller in another thread that watches it grow.
    """
    load = into or Load()
    asyncio.run(_run(load, target, requests, concurrency, seconds, count, keep_answers))
    return load


async def _run(
    load: Load,
    target: str,
    requests: Sequence[bytes],
    concurrency: int,
    seconds: float,
    count: int | None,
    keep_answers: bool,
) -> None:
    # Messages of 64 sequences are larger than gRPC's own limit for small ones.
    options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]
    async with grpc.aio.insecure_channel(target, options) as channel:
        call = channel.unary_unary(METHOD)
        await channel.channel_ready()
        places = iter(range(count) if count is not None else iter(int, 1))
        began = time.perf_counter()

        async def caller(first: int) -> None:
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
