"""More than can be answered, and answers that nobody waits for."""

import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from serving.retrieval import searching
from tests.serving.callers import request_of
from tests.serving.retrieval.asking import MODEL, Ask, asked_of
from tests.tfrec.made import Made


def test_overload_and_deadlines(
    made: Made, index: Path, encoder: Any, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, go = threading.Event(), threading.Event()
    searches = []
    find = searching.find

    def held(*arguments: Any) -> Any:
        searches.append(1)
        arrived.set()
        assert go.wait(60)
        return find(*arguments)

    monkeypatch.setattr(searching, "find", held)
    asked = ask(index, encoder=f"localhost:{encoder.port}", max_users=3, searches=1)
    predict = asked.caller.prediction.Predict
    one, two = (request_of(asked_of(made, users), name=MODEL) for users in (1, 2))
    first = predict.future(one, timeout=60)
    assert arrived.wait(60)
    late = predict.future(one, timeout=1)
    assert late.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # Nobody waits for it any more, so it makes room, and is not searched.
    waiting = predict.future(two, timeout=60)
    code, text = asked.refusal(asked_of(made, 2))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "at most 3" in text
    go.set()
    assert len(first.result().outputs) == len(waiting.result().outputs) == 2
    assert len(searches) == 2
    assert asked.sample('tfrec_stage_seconds_count{stage="search"}') == 2
    assert asked.sample('tfrec_stage_seconds_count{stage="encode"}') >= 3
