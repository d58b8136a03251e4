import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving import server as server_module
from serving.loading import Servable
from serving.server import Server, ServerSettings, load_and_warm_up, running
from serving.session import GraphSession
from serving.status import Code, ServingError
from serving.versions import State, Versions
from tfrec.errors import DataError

NEWEST = ModelSpec(name="tiny")


@pytest.fixture
def folder(tmp_path: Path, int_folder: Path) -> Path:
    """A servable's folder of the test's own, with version 1."""
    shutil.copytree(int_folder, tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory, write_version: Callable[..., Path]) -> Path:
    """Versions 2, 3 and 4, to be copied."""
    stock = tmp_path_factory.mktemp("stock") / "tiny"
    for version in (2, 3, 4):
        write_version(stock, version)
    return stock


def put(stock: Path, folder: Path, version: int) -> Path:
    """Lets a version appear by one rename."""
    shutil.copytree(stock / str(version), folder / f".{version}")
    return (folder / f".{version}").rename(folder / str(version))


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with running(ServerSettings(folder, port=0, poll_interval_s=0.02)) as server:
        yield server


def versions_of(folder: Path) -> Versions:
    return Versions("tiny", folder, load_and_warm_up)


def states(versions: Versions) -> dict[int, State]:
    return {version.number: version.state for version in versions.all()}


def test_three_switches_under_load(
    server: Server,
    folder: Path,
    stock: Path,
    connect: Callable[..., Any],
    sequences: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    """No request fails, and each is answered by the one version that the reply names."""
    caller = connect(server.port)
    inputs = sequences([[101, 102], [106], [105]])
    seen: list[int] = []
    last = threading.Event()

    def ask() -> None:
        after = 0
        while after < 20:
            answer = caller.predict(inputs)
            assert set(np.round(answer["score"].ravel() / 1000).astype(int)) == {answer.version}
            seen.append(answer.version)
            if answer.version == 4:
                last.set()
                after += 1

    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            ask()
        except BaseException as error:
            failures.append(error)
            last.set()

    threads = [threading.Thread(target=guarded) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in (2, 3, 4):
        put(stock, folder, version)
        eventually(lambda version=version: failures or version in seen)
    assert last.wait(60)
    for thread in threads:
        thread.join(60)
    assert not failures
    assert set(seen) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    "file", ["saved_model.pb", "variables/variables.data-00000-of-00001", "assets/servable.json"]
)
def test_a_cut_off_version_is_reported_and_the_old_one_goes_on(
    server: Server,
    folder: Path,
    stock: Path,
    connect: Callable[..., Any],
    sequences: Callable[..., Any],
    eventually: Callable[..., None],
    file: str,
) -> None:
    caller = connect(server.port)
    shutil.copytree(stock / "2", folder / ".2")
    whole = (folder / ".2" / file).read_bytes()
    (folder / ".2" / file).write_bytes(whole[: len(whole) // 2])
    (folder / ".2").rename(folder / "2")
    eventually(lambda: caller.states().get(2, ("", ""))[0] == "END")
    assert caller.predict(sequences([[101]])).version == 1
    states = caller.states()
    assert states[1] == ("AVAILABLE", "")
    assert str(folder / "2") in states[2][1]
    # Once its file is whole, it is taken.
    (folder / "2" / file).write_bytes(whole)
    eventually(lambda: caller.predict(sequences([[101]])).version == 2)


def test_a_version_is_unloaded_when_its_last_request_has_ended(folder: Path, stock: Path) -> None:
    graphs: list[GraphSession] = []

    def load(path: Path) -> Servable:
        servable = load_and_warm_up(path)
        graphs.append(servable.session)
        return servable

    async def run() -> None:
        versions = Versions("tiny", folder, load)
        await versions.look()
        with versions.use(NEWEST) as old:
            put(stock, folder, 2)
            await versions.look()
            with versions.use(NEWEST) as new:
                assert (old.version, new.version) == (1, 2)
            await asyncio.sleep(0)
            assert states(versions) == {1: State.UNLOADING, 2: State.AVAILABLE}
            with pytest.raises(ServingError) as caught, versions.use(_spec(1)):
                pass
            assert caught.value.code is Code.NOT_FOUND
            assert graphs[0]._calls
        await versions.close()
        assert states(versions) == {1: State.END, 2: State.END}
        # What held them is empty, so that their memory has gone back.
        assert [graph._calls for graph in graphs] == [{}, {}]

    asyncio.run(run())


def test_a_version_that_fails_to_warm_up_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Servable] = []

    def fails(servable: Servable, _: Path) -> int:
        loaded.append(servable)
        raise DataError("no")

    monkeypatch.setattr(server_module, "warm_up", fails)
    with pytest.raises(DataError):
        load_and_warm_up(folder / "1")
    assert [one.session._calls for one in loaded] == [{}]


def _spec(version: int) -> Any:
    spec = ModelSpec(name="tiny")
    spec.version.value = version
    return spec


def test_the_one_before_comes_back_when_the_newest_is_taken_away(folder: Path, stock: Path) -> None:
    async def run() -> list[int]:
        versions = versions_of(folder)
        put(stock, folder, 3)
        numbers = []
        for change in (lambda: None, lambda: shutil.rmtree(folder / "3"), lambda: put(stock, folder, 2)):
            change()
            await versions.look()
            with versions.use(NEWEST) as servable:
                numbers.append(servable.version)
        await versions.close()
        return numbers

    assert asyncio.run(run()) == [3, 1, 2]


def test_the_last_version_goes_on_when_its_folder_is_gone(folder: Path) -> None:
    async def run() -> bool:
        versions = versions_of(folder)
        await versions.look()
        shutil.rmtree(folder)
        await versions.look()
        available = versions.available
        await versions.close()
        return available

    assert asyncio.run(run())


def test_what_is_no_version_is_passed_over(folder: Path, stock: Path) -> None:
    for name in (".5.partial-1", "v6", "-7", "8.0"):
        shutil.copytree(stock / "2", folder / name)
    (folder / "9").write_text("a file", encoding="utf-8")

    async def run() -> dict[int, State]:
        versions = versions_of(folder)
        await versions.look()
        found = states(versions)
        await versions.close()
        return found

    assert asyncio.run(run()) == {1: State.AVAILABLE}


def test_a_version_that_fails_is_not_loaded_again_until_it_changes(folder: Path) -> None:
    (folder / "2").mkdir()
    loads = []

    def load(path: Path) -> Any:
        loads.append(path.name)
        return load_and_warm_up(path)

    async def run() -> None:
        versions = Versions("tiny", folder, load)
        await versions.look()
        await versions.look()
        assert loads == ["2", "1"]
        (folder / "2" / "saved_model.pb").write_bytes(b"not yet")
        await versions.look()
        assert loads == ["2", "1", "2"]
        await versions.close()

    asyncio.run(run())


def test_labels_belong_to_the_configuration_of_tensorflow_serving(folder: Path) -> None:
    versions = versions_of(folder)
    spec = ModelSpec(name="tiny", version_label="stable")
    with pytest.raises(ServingError, match="label: stable") as caught, versions.use(spec):
        pass
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("empty", [True, False])
def test_nothing_to_serve_says_why(tmp_path: Path, empty: bool) -> None:
    expected = "holds no version"
    if not empty:
        (tmp_path / "7").mkdir()
        expected = "version 7: .*assets/servable.json"
    with pytest.raises(DataError, match=expected), running(ServerSettings(tmp_path, port=0)):
        pass
