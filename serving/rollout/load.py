"""An open loop of gRPC calls: requests come when their time has come, whether or not others are answered.

A closed loop, in which a caller asks anew when it is answered, asks a slow server less often and so hides how
long people would wait. Here each latency counts from the moment that the request was due.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from serving import wire

METHOD = f"/{wire.SERVICE}/Predict"
_SEED = 0
_MESSAGE_BYTES = 64 << 20


@dataclass
class OpenLoad:
    """What came of a run.

    Attributes:
        rate: requests a second that were wanted.
        requests: how many were sent.
        seconds: from the first that was due to the last answer.
        latencies_ms: of each answer, from the moment that its request was due.
        errors: texts of the calls that failed.
    """

    rate: float
    requests: int
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def percentile_ms(self, percent: float) -> float | None:
        """A percentile of the latencies; None where nothing was answered."""
        return float(np.percentile(self.latencies_ms, percent)) if self.latencies_ms else None


def run_open_load(
    target: str,
    requests: Sequence[bytes],
    rate: float,
    count: int,
    timeout_s: float,
    *,
    connections: int = 1,
) -> OpenLoad:
    """Asks `count` requests, with exponential gaps between them, as those of people who know nothing of each
    other; the gaps are the same in every run.

    Args:
        target: host:port.
        requests: serialized PredictRequests, asked in turn.
        rate: requests a second, on average.
        count: how many.
        timeout_s: deadline of each.
        connections: that take turns.
    """
    gaps = np.random.default_rng(_SEED).exponential(1 / rate, count)
    load = OpenLoad(rate, count)
    asyncio.run(_run(load, target, requests, np.cumsum(gaps).tolist(), timeout_s, connections))
    return load


@contextlib.asynccontextmanager
async def connected(target: str, connections: int) -> AsyncIterator[list[Any]]:
    """Calls of Predict with bytes in and out, one for each connection, while the block runs."""
    # Messages of 64 sequences are larger than gRPC's own limit for small ones. Without a pool of its own, a
    # channel would take up the connection that another has to the same place.
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target, options))
            for _ in range(connections)
        ]
        yield [channel.unary_unary(METHOD) for channel in channels]


async def _run(
    load: OpenLoad,
    target: str,
    requests: Sequence[bytes],
    due: Sequence[float],
    timeout_s: float,
    connections: int,
) -> None:
    async with connected(target, connections) as calls:
        began = time.perf_counter()

        async def ask(place: int) -> None:
            try:
                await calls[place % connections](requests[place % len(requests)], timeout=timeout_s)
            except grpc.aio.AioRpcError as error:
                load.errors.append(f"{error.code().name}: {error.details()}")
            else:
                load.latencies_ms.append((time.perf_counter() - began - due[place]) * 1e3)

        running = []
        for place, moment in enumerate(due):
            await asyncio.sleep(max(0.0, began + moment - time.perf_counter()))
            running.append(asyncio.create_task(ask(place)))
        await asyncio.gather(*running)
        load.seconds = time.perf_counter() - began
