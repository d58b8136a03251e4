"""The wall clock jumps a day ahead, two days back and home again, under both servers.

libfaketime stands between the processes and the system's clock, so that Python, gRPC and TensorFlow see the
jump alike; the monotonic clock goes on, as it does on a machine whose time is set.
"""

import ast
import datetime as dt
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.callers import Caller, request_of, sequences
from tests.serving.faults.conftest import StartProcess
from tests.serving.faults.pair import NAME, write_pair_index, write_servable

ROOT = Path(__file__).parents[3]
JUMPS = ("+1d", "-1d", "+0d")
# What a person means by "now" comes from the wall clock: the time of a request that names none.
SAYS_NOW = {"serving/questions.py", "serving/rollout/gate.py"}


def library() -> Path | None:
    """libfaketime, as its Python package or the system's has it."""
    found = importlib.util.find_spec("libfaketime")
    places = [Path(place) for place in (found.submodule_search_locations if found else None) or ()]
    places += Path("/usr/lib").glob("*/faketime")
    return next((path for place in places for path in place.rglob("libfaketime.so.1")), None)


class Clock:
    """The wall clock of processes with `env` among their variables."""

    def __init__(self, preloaded: Path, file: Path) -> None:
        self._file = file
        self.set("+0")
        self.env = {
            "LD_PRELOAD": str(preloaded),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        """Lets it jump to so much beside the true time."""
        self._file.write_text(f"{offset}\n", encoding="utf-8")


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    found = library()
    if found is None:
        pytest.skip("libfaketime is not installed: `make setup` compiles it where there is a C compiler")
    return Clock(found, tmp_path / "clock")


@pytest.fixture
def caller_of() -> Iterator[Callable[[int], Caller]]:
    callers: list[Caller] = []

    def connect(port: int) -> Caller:
        callers.append(Caller(f"localhost:{port}"))
        return callers[-1]

    yield connect
    for caller in callers:
        caller.channel.close()


def of_kind(kind: str) -> Any:
    """A request whose events are of this type."""
    inputs = sequences([[101]])
    inputs["event_type"][:] = kind
    return request_of(inputs)


def asked_on(server: tuple[Caller, Path]) -> set[dt.date]:
    """The days, midnight being near or not, on which a server says that it was asked just now."""
    caller, log = server
    assert caller.predict(sequences([[101]])).version == 1
    last = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    moment = dt.datetime.fromisoformat(last["time"])
    return {(moment + dt.timedelta(hours=hours)).date() for hours in (-1, 0)}


def test_a_clock_that_jumps_changes_nothing(
    clock: Clock,
    shop: Path,
    start_process: StartProcess,
    caller_of: Callable[[int], Caller],
    eventually: Callable[..., None],
    tmp_path: Path,
) -> None:
    servables, indexes = tmp_path / "servables" / NAME, tmp_path / "indexes" / NAME
    shutil.copytree(shop / "servables" / NAME, servables)
    shutil.copytree(shop / "indexes" / NAME, indexes)
    common = ("--log-format", "json", "--log-requests", "--poll-interval-s", 0.2)
    today = dt.datetime.now(dt.UTC).date()
    logs = [tmp_path / "embedded.log", tmp_path / "retrieval.log"]
    with logs[0].open("w") as first, logs[1].open("w") as second:
        embedded = start_process("serve", servables, *common, env=clock.env, stderr=first)
        target = f"localhost:{embedded.port}"
        retrieval = start_process(
            "retrieval", indexes, "--encoder", target, *common, env=clock.env, stderr=second
        )
        callers = [caller_of(server.port) for server in (embedded, retrieval)]
        # Across a jump, in batches, and after it, one at a time.
        for offset in JUMPS:
            kinds = ("slow", *["view"] * 5)
            running = [
                caller.prediction.Predict.future(of_kind(kind), timeout=60)
                for caller in callers
                for kind in kinds
            ]
            clock.set(offset)
            day = today + dt.timedelta(days=int(offset.rstrip("d")))
            eventually(lambda day=day: all(day in asked_on(one) for one in zip(callers, logs, strict=True)))
            assert {call.result().model_spec.version.value for call in running} == {1}
            for caller in callers:
                assert caller.predict(sequences([[101]])).version == 1
        # What stood still would be seen now: the clock is a day before the last look at the folders.
        clock.set("-1d")
        write_servable(servables, 2)
        write_pair_index(indexes, 2)
        eventually(lambda: callers[0].predict(sequences([[101]])).version == 2)
        eventually(lambda: index_searched(callers[1]) == "2")


def index_searched(caller: Caller) -> str:
    _, call = caller.prediction.Predict.with_call(request_of(sequences([[101]])), timeout=30)
    return str(dict(call.trailing_metadata())["tfrec-index-version"])


def test_no_server_measures_by_the_wall_clock() -> None:
    asked = set()
    for top in ("serving", "tfrec/index"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in WALL_CLOCKS:
                    asked.add(str(path.relative_to(ROOT)))
    assert asked <= SAYS_NOW


WALL_CLOCKS = {
    *("time.time", "time.time_ns", "time.localtime"),
    *(f"{name}.{method}" for name in ("dt.datetime", "datetime") for method in ("now", "utcnow", "today")),
}
