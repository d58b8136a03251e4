"""A thousand connections at a time, from another process, to servers that a shell started with few files."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.server import Server
from tests.serving.callers import request_of, sequences
from tests.serving.faults.conftest import StartProcess
from tests.serving.faults.pair import NAME
from tests.serving.faults.processes import Process

CONNECTIONS = 1000
FILES = 512  # fewer than connections: the servers ask the system for more
GROWTH = 1.25  # of memory, from the first thousand to later ones: a few MB come and go

# Every channel has a connection of its own, and keeps it until all have been answered.
CROWD = """
import asyncio, resource, sys
import grpc

async def main(target, count, request):
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(target, options) for _ in range(count)]
    calls = [
        channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(request, timeout=300)
        for channel in channels
    ]
    answers = await asyncio.gather(*calls)
    print(sum(map(bool, answers)), flush=True)
    sys.stdin.readline()
    await asyncio.gather(*(channel.close() for channel in channels))

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
asyncio.run(main(sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3])))
"""


def crowd(server: Process) -> int:
    """Lets a thousand connections ask and go, and returns how many files the server had open meanwhile."""
    request = request_of(sequences([[101]])).SerializeToString().hex()
    command = [sys.executable, "-c", CROWD, f"localhost:{server.port}", str(CONNECTIONS), request]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == f"{CONNECTIONS}\n"
        most = server.seen.num_fds()
        process.stdin.write("go\n")
    assert process.returncode == 0
    return most


@pytest.mark.parametrize("kind", ["embedded", "retrieval"])
def test_a_thousand_connections_come_and_go(
    kind: str,
    shop: Path,
    encoder: Server,
    start_process: StartProcess,
    eventually: Callable[..., None],
) -> None:
    words: list[object] = ["serve", shop / "servables" / NAME, "--max-enqueued", CONNECTIONS]
    if kind == "retrieval":
        words = ["retrieval", shop / "indexes" / NAME, "--encoder", f"localhost:{encoder.port}"]
    server = start_process(*words, files=FILES)
    files = server.seen.num_fds()
    memory = []
    for _ in range(3):
        assert crowd(server) >= files + CONNECTIONS
        eventually(lambda: server.seen.num_fds() <= files + 16)
        memory.append(server.seen.memory_info().rss)
    assert memory[-1] <= GROWTH * memory[0]
