import asyncio
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.batching import Batcher
from serving.loading import Servable, load_servable
from serving.server import Server, ServerSettings, running
from serving.settings import BatchSettings
from serving.status import Code, ServingError

PATIENT = 60_000_000  # microseconds: a batch leaves when it is full, so its content is certain
FOREVER = float("inf")


@pytest.fixture
def patient_server(int_folder: Path) -> Iterator[Server]:
    batching = BatchSettings(max_batch_size=8, batch_timeout_us=PATIENT)
    with running(ServerSettings(int_folder, port=0, batching=batching)) as server:
        yield server


@pytest.fixture(scope="module")
def servable(int_folder: Path) -> Servable:
    return load_servable(int_folder / "1")


def test_a_batch_answers_like_the_requests_alone(
    patient_server: Server,
    tiny: Any,
    connect: Callable[..., Any],
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
    assert sum(len(request["length"]) for request in requests) == 8
    together = connect(patient_server.port)
    calls = [together.prediction.Predict.future(request_of(request)) for request in requests]
    for call, request in zip(calls, requests, strict=True):
        alone = tiny.predict(request)
        batched = type(alone)(call.result(timeout=30))
        assert batched["item_id"].tolist() == alone["item_id"].tolist()
        assert batched["score"].tolist() == alone["score"].tolist()
    assert (patient_server.batcher.stats.batches, patient_server.batcher.stats.users) == (1, 8)


def test_candidates_and_events_of_neighbours_are_cut_off(
    patient_server: Server,
    tiny: Any,
    connect: Callable[..., Any],
    sequences: Callable[..., Any],
    request_of: Callable[..., Any],
) -> None:
    together = connect(patient_server.port)
    for signature, requests in {
        "rank": [
            sequences([[101]] * 4, candidates=[[101, 106, 999]] * 4),
            sequences([[105, 106, 105]] * 4, candidates=[[106]] * 4),
        ],
        "encode": [sequences([[101, 102]] * 4), sequences([[105]] * 4)],
    }.items():
        if signature == "encode":
            for request in requests:
                del request["exclude_item_id"]
        calls = [
            together.prediction.Predict.future(request_of(request, signature=signature))
            for request in requests
        ]
        for call, request in zip(calls, requests, strict=True):
            alone = tiny.predict(request, signature=signature)
            batched = type(alone)(call.result(timeout=30))
            assert batched.outputs.keys() == alone.outputs.keys()
            for name in alone.outputs:
                np.testing.assert_array_equal(batched[name], alone[name])
    assert patient_server.batcher.stats.batches == 2


def test_a_request_larger_than_a_batch_is_computed_in_pieces(
    patient_server: Server, connect: Callable[..., Any], sequences: Callable[..., Any]
) -> None:
    users = [[101 + place % 6] * (1 + place % 3) for place in range(24)]
    answer = connect(patient_server.port).predict(sequences(users))
    assert answer["item_id"][:, 0].tolist() == [row[0] for row in users]
    assert patient_server.batcher.stats.batches == 3


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


def test_requests_gather_while_the_workers_are_busy(
    servable: Servable, sequences: Callable[..., Any]
) -> None:
    """Nobody waits for company: the first request leaves alone, and those behind it leave together."""

    async def run() -> Any:
        batcher = Batcher(BatchSettings(max_batch_size=64, batch_timeout_us=0, workers=1))
        signature = servable.signatures["recommend"]
        first = asyncio.ensure_future(batcher.submit(servable, signature, sequences([[101]]), 1, FOREVER))
        while not batcher.stats.batches:
            await asyncio.sleep(0)
        later = [batcher.submit(servable, signature, sequences([[102]]), 1, FOREVER) for _ in range(20)]
        await asyncio.gather(first, *later)
        batcher.close()
        return batcher.stats

    stats = asyncio.run(run())
    assert (stats.users, stats.batches) == (21, 2)


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


def test_the_deadline_of_a_call_counts(
    patient_server: Server, connect: Callable[..., Any], sequences: Callable[..., Any]
) -> None:
    caller = connect(patient_server.port)
    assert caller.refusal(sequences([[101]]), timeout=0.1)[0] is Code.DEADLINE_EXCEEDED
    assert caller.predict(sequences([[101]] * 8)).version == 1


def test_a_full_queue_refuses_and_the_server_goes_on(
    int_folder: Path,
    connect: Callable[..., Any],
    sequences: Callable[..., Any],
    request_of: Callable[..., Any],
) -> None:
    batching = BatchSettings(max_batch_size=4, batch_timeout_us=PATIENT, max_enqueued=3)
    with running(ServerSettings(int_folder, port=0, batching=batching)) as server:
        caller = connect(server.port)
        done: queue.Queue[Any] = queue.Queue()
        calls = [caller.prediction.Predict.future(request_of(sequences([[101]]))) for _ in range(6)]
        for call in calls:
            call.add_done_callback(done.put)
        for _ in range(3):
            refused = done.get(timeout=30)
            assert refused.code() is Code.RESOURCE_EXHAUSTED
            assert "3 users wait, of at most 3" in refused.details()
        assert sum(call.done() for call in calls) == 3
        for call in calls:
            call.cancel()


def test_a_request_that_the_graph_refuses_fails_alone(
    tmp_path: Path,
    write_failing: Callable[[Path], Any],
    connect: Callable[..., Any],
    sequences: Callable[..., Any],
    request_of: Callable[..., Any],
) -> None:
    folder = tmp_path / "tiny"
    write_failing(folder)
    good, bad, broken = (sequences([[101]]) for _ in range(3))
    bad["event_type"][:] = "refuse"
    broken["event_type"][:] = "break"
    batching = BatchSettings(max_batch_size=3, batch_timeout_us=PATIENT)
    with running(ServerSettings(folder, port=0, batching=batching)) as server:
        caller = connect(server.port)
        calls = [caller.prediction.Predict.future(request_of(one)) for one in (good, bad, broken)]
        assert calls[0].result(timeout=30).model_spec.version.value == 1
        assert calls[1].code() is Code.INVALID_ARGUMENT
        assert "no such event" in calls[1].details()
        assert calls[2].code() is Code.INTERNAL
        assert calls[2].details() == "the server failed on this request; its log says why"
        assert caller.predict(sequences([[101]] * 3)).version == 1
