"""Several processes of a server on one port: one is killed, then the one that looks after them."""

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import grpc
import psutil
import pytest

from serving.member import Member
from serving.processes import run_processes
from serving.retrieval.settings import RetrievalSettings
from serving.server import Server
from serving.settings import ListenSettings
from tests.serving.callers import request_of, sequences
from tests.serving.faults.conftest import StartProcess
from tests.serving.faults.pair import NAME
from tests.serving.faults.processes import COMMAND, Process
from tests.waiting import until
from tfrec.errors import SettingsError, TfrecError

DEADLINE_S = 60
CALLS = 40
METHOD = "/tensorflow.serving.PredictionService/Predict"


def calls(port: int) -> int:
    """How many of some calls are answered, each over a connection of its own."""
    request, answered = request_of(sequences([[101]])).SerializeToString(), 0
    for _ in range(CALLS):
        with grpc.insecure_channel(f"localhost:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                answered += bool(channel.unary_unary(METHOD)(request, timeout=DEADLINE_S))
            except grpc.RpcError:
                continue
    return answered


def servers_of(process: Process) -> list[psutil.Process]:
    """The processes that serve; Python starts one besides, which looks after what they share."""
    return [child for child in process.seen.children() if "spawn_main" in " ".join(child.cmdline())]


def answers_of_each(port: int, count: int) -> list[float]:
    """How many requests each process says to have answered."""
    found = []
    for place in range(count):
        text = urlopen(f"http://127.0.0.1:{port + place}/metrics", timeout=DEADLINE_S).read().decode()
        lines = [line for line in text.splitlines() if line.startswith("tfrec_requests_total{")]
        found.append(sum(float(line.rpartition(" ")[2]) for line in lines))
    return found


def test_one_is_killed_and_another_comes(
    shop: Path, start_process: StartProcess, free_ports: Callable[[int], int]
) -> None:
    metrics = free_ports(2)
    server = start_process("serve", shop / "servables" / NAME, "--processes", 2, "--metrics-port", metrics)
    first = servers_of(server)
    assert len(first) == 2
    assert calls(server.port) == CALLS
    answered = answers_of_each(metrics, 2)
    assert sum(answered) == CALLS
    assert min(answered) > 0
    first[0].kill()
    first[0].wait(DEADLINE_S)
    # The system knows at once that nobody listens there any more.
    assert calls(server.port) == CALLS

    def new() -> list[psutil.Process]:
        return [one for one in servers_of(server) if one not in first]

    until(new, DEADLINE_S, lambda: server.popen.poll() is None)
    # It serves once it shows its metrics, which the first of the two did at that port.
    until(lambda: shows_metrics(metrics) and shows_metrics(metrics + 1), DEADLINE_S)
    last = servers_of(server)
    server.popen.terminate()
    assert server.popen.wait(DEADLINE_S) == 0
    assert not [one for one in last if one.is_running()]


def shows_metrics(port: int) -> bool:
    try:
        return bool(answers_of_each(port, 1))
    except OSError:
        return False


def test_they_end_with_the_one_that_looks_after_them(
    shop: Path, encoder: Server, start_process: StartProcess
) -> None:
    words = ("--encoder", f"localhost:{encoder.port}", "--processes", 2)
    server = start_process("retrieval", shop / "indexes" / NAME, *words)
    assert calls(server.port) == CALLS
    left = servers_of(server)
    assert len(left) == 2
    server.popen.kill()
    for process in left:
        process.wait(DEADLINE_S)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", server.port))


def test_what_cannot_serve_is_said_once(shop: Path, tmp_path: Path) -> None:
    def refused(*words: object) -> str:
        command = [*COMMAND, "serve", *map(str, words), "--processes", "2", "--log-format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 2
        assert done.stdout == ""
        return " ".join(done.stderr.split())

    said = refused(tmp_path / "nothing", "--port", 0)
    assert said.count("Error:") == 1
    assert str(tmp_path / "nothing") in said
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port}" in refused(shop / "servables" / NAME, "--port", port)


def test_a_shared_port_is_shared_with_its_own_alone() -> None:
    """Others that would share the port, too, are strangers."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = ListenSettings(port=other.getsockname()[1], processes=2)
        with pytest.raises(SettingsError, match="Is the port taken"):
            run_processes("serving.server", settings, lambda _: None, str)


def test_a_unix_socket_belongs_to_one_process(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a Unix socket is one process's"):
        RetrievalSettings(index=tmp_path, encoder="localhost:1", socket=tmp_path / "socket", processes=2)


def test_one_that_ends_before_it_serves() -> None:
    settings = ListenSettings(port=0, processes=2)
    with pytest.raises(TfrecError, match="ended with exit code 3 before it served"):
        run_processes("tests.serving.faults.ends", settings, lambda _: None, str)


def test_one_that_ends_again_and_again_is_started_ever_more_seldom() -> None:
    member = Member("tests.serving.faults.ends", ListenSettings(port=0), str)
    member.start()
    pauses, now = [], 0.0
    for _ in range(4):
        member.join()
        pause = member.tend(now)
        # None: it was started at once.
        pauses.append(pause)
        if pause is not None:
            now += pause
            assert member.tend(now - 0.01) == pytest.approx(0.01)
            assert member.tend(now) is None
    member.join()
    assert pauses == [None, 1, 3, 7]


def test_what_fails_later_is_not_the_port_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(member: Member) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(Member, "start", fails)
    with pytest.raises(OSError, match="no more processes"):
        run_processes("serving.server", ListenSettings(port=0, processes=2), lambda _: None, str)


def test_each_writes_its_own_lines_into_the_log(
    shop: Path, encoder: Server, start_process: StartProcess, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w") as log:
        words = ("--encoder", f"localhost:{encoder.port}", "--processes", 2, "--log-format", "json")
        server = start_process("retrieval", shop / "indexes" / NAME, *words, stderr=log)
        server.popen.terminate()
        assert server.popen.wait(DEADLINE_S) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    # Of two processes and the one that looks after them; none is a line within a line.
    assert [line["message"] for line in lines].count("stopping: running requests get 30.0 s") == 3
    assert not [line for line in lines if line["message"].startswith("{")]
