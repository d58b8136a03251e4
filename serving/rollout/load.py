"""An open loop of gRPC calls: requests come when their time has come, whether or not others are answered.

A closed loop, in which a caller asks anew when it is answered, asks a slow server less often and so hides how
long people would wait. Here each latency counts from the moment that the request was due.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

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
    target: str, requests: Sequence[bytes], rate: float, count: int, timeout_s: float
) -> OpenLoad:
    """Asks `count` requests, with exponential gaps between them, as those of people who know nothing of each
    other; the gaps are the same in every run.

    Args:
        target: host:port.
        requests: serialized PredictRequests, asked in turn.
        rate: requests a second, on average.
        count: how many.
        timeout_s: deadline of each.
    """
    gaps = np.random.default_rng(_SEED).exponential(1 / rate, count)
    load = OpenLoad(rate, count)
    asyncio.run(_run(load, target, requests, np.cumsum(gaps).tolist(), timeout_s))
    return load


async def _run(
    load: OpenLoad, target: str, requests: Sequence[bytes], due: Sequence[float], timeout_s: float
) -> None:
    options = [
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ]
    async with grpc.aio.insecure_channel(target, options) as channel:
        call = channel.unary_unary(METHOD)
        began = time.perf_counter()

        async def ask(place: int) -> None:
            try:
                await call(requests[place % len(requests)], timeout=timeout_s)
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
