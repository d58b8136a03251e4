import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.batching import Batcher
from serving.loading import Servable, load_servable
from serving.server import Server, ServerSettings, running
from serving.settings import BatchSettings
from serving.status import Code, ServingError

FOREVER = float("inf")


@pytest.fixture
def server(stage: Any) -> Iterator[Server]:
    """One worker, which the stage can hold, and batches of 8."""
    batching = BatchSettings(max_batch_size=8, max_enqueued=24, workers=1)
    with running(ServerSettings(stage.folder, port=0, batching=batching)) as server:
        yield server


@pytest.fixture
def caller(server: Server, connect: Callable[..., Any]) -> Any:
    return connect(server.port)


@pytest.fixture
def together(
    server: Server, caller: Any, stage: Any, eventually: Callable[..., None]
) -> Callable[[Sequence[Any]], list[Any]]:
    """`together(requests)`: their calls, when they have waited for the worker at the same time."""

    def call(requests: Sequence[Any]) -> list[Any]:
        users = sum(request.inputs["length"].tensor_shape.dim[0].size for request in requests)
        with stage.held(caller):
            calls = [caller.prediction.Predict.future(request) for request in requests]
            eventually(lambda: server.batcher.waiting == users)
        return calls

    return call


@pytest.fixture(scope="module")
def servable(int_folder: Path) -> Servable:
    return load_servable(int_folder / "1")


def test_a_batch_answers_like_the_requests_alone(
    server: Server,
    together: Callable[..., Any],
    tiny: Any,
    sequences: Callable[..., Any],
    request_of: Callable[..., Any],
) -> None:
    """Users, events and ids to leave out differ in number; the ids are those with the best scores."""
    requests = [
        sequences([[101]]),
        sequences([[]]),
        sequences([[106, 106, 105], [104]]),
        sequences([[104] * 9], exclude=[[104]]),
        sequences([[103, 103]], exclude=[[101, 102, 106]]),
        sequences([[999, 102], [101]], exclude=[[106], [101]]),
    ]
    calls = together([request_of(request) for request in requests])
    for call, request in zip(calls, requests, strict=True):
        alone = tiny.predict(request)
        batched = type(alone)(call.result(timeout=30))
        assert batched["item_id"].tolist() == alone["item_id"].tolist()
        assert batched["score"].tolist() == alone["score"].tolist()
    stats = server.batcher.stats
    assert (stats.batches, stats.users) == (1 + 1, 1 + 8)  # the held one, and these


@pytest.mark.parametrize("signature", ["rank", "encode"])
def test_candidates_and_events_of_neighbours_are_cut_off(
    server: Server,
    together: Callable[..., Any],
    tiny: Any,
    sequences: Callable[..., Any],
    request_of: Callable[..., Any],
    signature: str,
) -> None:
    requests = [
        sequences([[101]] * 4, candidates=[[101, 106, 999]] * 4),
        sequences([[105, 106, 105]] * 4, candidates=[[106]] * 4),
    ]
    if signature == "encode":
        for request in requests:
            del request["candidate_item_id"]
    calls = together([request_of(request, signature=signature) for request in requests])
    for call, request in zip(calls, requests, strict=True):
        alone = tiny.predict(request, signature=signature)
        batched = type(alone)(call.result(timeout=30))
        assert batched.outputs.keys() == alone.outputs.keys()
        for name in alone.outputs:
            np.testing.assert_array_equal(batched[name], alone[name])
    assert server.batcher.stats.batches == 1 + 1


def test_a_request_larger_than_a_batch_is_computed_in_pieces(
    server: Server, caller: Any, sequences: Callable[..., Any]
) -> None:
    users = [[101 + place % 6] * (1 + place % 3) for place in range(24)]
    answer = caller.predict(sequences(users))
    assert answer["item_id"][:, 0].tolist() == [row[0] for row in users]
    assert server.batcher.stats.batches == 3


@pytest.mark.parametrize(("most", "batches"), [(8 * 32, 1), (4 * 32, 2), (32, 6), (1, 6)])
def test_a_batch_has_so_many_events_at_most(
    servable: Servable, sequences: Callable[..., Any], most: int, batches: int
) -> None:
    """Short sequences count as ones of 32."""

    async def run() -> Any:
        batcher = Batcher(BatchSettings(max_batch_size=8, max_batch_events=most))
        signature = servable.signatures["recommend"]
        users = [[101 + place] for place in range(6)]
        answer = await batcher.submit(servable, signature, sequences(users), 6, FOREVER)
        batcher.close()
        return answer, batcher.stats

    answer, stats = asyncio.run(run())
    assert answer["item_id"][:, 0].tolist() == [101, 102, 103, 104, 105, 106]
    assert stats.batches == batches


def test_batches_are_filled_up_to_powers_of_two(servable: Servable, sequences: Callable[..., Any]) -> None:
    async def run() -> Any:
        batcher = Batcher(BatchSettings(max_batch_size=8))
        signature = servable.signatures["recommend"]
        answer = await batcher.submit(servable, signature, sequences([[101]] * 5), 5, FOREVER)
        batcher.close()
        return answer, batcher.stats

    answer, stats = asyncio.run(run())
    assert answer["score"].shape == (5, 5)
    assert (stats.users, stats.padded_users) == (5, 3)


@pytest.mark.parametrize(("behind", "batches"), [(16, [16]), (24, [32]), (20, [16, 4])])
def test_requests_gather_while_the_workers_are_busy(
    servable: Servable, sequences: Callable[..., Any], behind: int, batches: list[int]
) -> None:
    """Nobody waits for company: the first request leaves alone, and those behind it leave together, in
    two batches where filling up one would be a waste."""

    async def run() -> Any:
        batcher = Batcher(BatchSettings(max_batch_size=64, batch_timeout_us=0, workers=1))
        signature = servable.signatures["recommend"]
        first = asyncio.ensure_future(batcher.submit(servable, signature, sequences([[101]]), 1, FOREVER))
        while not batcher.stats.batches:
            await asyncio.sleep(0)
        later = [batcher.submit(servable, signature, sequences([[102]]), 1, FOREVER) for _ in range(behind)]
        await asyncio.gather(first, *later)
        batcher.close()
        return batcher.stats

    stats = asyncio.run(run())
    assert (stats.users, stats.batches) == (1 + behind, 1 + len(batches))
    assert stats.padded_users == sum(batches) - behind


def test_a_request_whose_deadline_has_passed_is_not_computed(
    servable: Servable, sequences: Callable[..., Any]
) -> None:
    async def run() -> Any:
        batcher = Batcher(BatchSettings())
        signature = servable.signatures["recommend"]
        now = asyncio.get_running_loop().time()
        with pytest.raises(ServingError) as caught:
            await batcher.submit(servable, signature, sequences([[101]]), 1, now)
        batcher.close()
        return caught.value.code, batcher.stats

    code, stats = asyncio.run(run())
    assert code is Code.DEADLINE_EXCEEDED
    assert stats.batches == 0


def test_a_call_given_up_while_it_waits_is_not_computed(
    server: Server, caller: Any, stage: Any, sequences: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    with stage.held(caller) as held:
        assert caller.refusal(sequences([[101]]), timeout=0.1)[0] is Code.DEADLINE_EXCEEDED
        eventually(lambda: server.batcher.waiting == 0)
    assert held.result(timeout=30).model_spec.version.value == 1
    assert caller.predict(sequences([[101]])).version == 1
    assert server.batcher.stats.users == 2


def test_a_full_queue_refuses_and_the_server_goes_on(
    server: Server, caller: Any, stage: Any, sequences: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    with stage.held(caller):
        waiting = caller.prediction.Predict.future(stage.request("view", users=24))
        eventually(lambda: server.batcher.waiting == 24)
        code, text = caller.refusal(sequences([[101], [102]]))
        assert code is Code.RESOURCE_EXHAUSTED
        assert "24 users wait, of at most 24, and the request holds 2" in text
    assert waiting.result(timeout=30).model_spec.version.value == 1
    assert caller.predict(sequences([[101], [102]])).version == 1


def test_a_request_that_the_graph_refuses_fails_alone(
    server: Server, caller: Any, together: Callable[..., Any], stage: Any
) -> None:
    good, bad, broken, fine = together([stage.request(kind) for kind in ("view", "refuse", "break", "view")])
    assert good.result(timeout=30).model_spec.version.value == 1
    assert fine.result(timeout=30).model_spec.version.value == 1
    assert bad.code() is Code.INVALID_ARGUMENT
    assert "no such event" in bad.details()
    assert broken.code() is Code.INTERNAL
    assert broken.details() == "the server failed on this request; its log says why"
