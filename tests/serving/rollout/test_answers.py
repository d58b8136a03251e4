"""What is wrong with an answer, and golden requests answered by a real server."""

from pathlib import Path

import numpy as np
import pytest

from serving.rollout.answers import Answer, ask_all, faults_of
from serving.rollout.golden import Golden, read_golden
from serving.server import Server
from serving.status import Code, ServingError
from tfrec.servable import ServableInfo

NOTHING = -(2**63)
INF = np.inf


@pytest.fixture(scope="module")
def info(int_folder: Path) -> ServableInfo:
    return ServableInfo.load(int_folder / "1")


def golden(tmp_path: Path, text: str) -> list[Golden]:
    path = tmp_path / "golden.jsonl"
    path.write_text(text, encoding="utf-8")
    return read_golden(path, 1_000_000)


@pytest.mark.parametrize(
    ("items", "scores", "faults"),
    [
        ([1, 2, 3], [3, 2, 1], []),
        ([1, 2, 3, NOTHING], [3, 2, 1, -INF], []),
        ([1, 2, 1], [3, 2, 1], ["the item 1 again at place 3"]),
        ([1, 2, 3], [3, np.nan, -INF], ["the score nan at place 2", "the score -inf at place 3"]),
        ([1, NOTHING, 3, 4], [3, 0, 1, 0], ["the score 0.0 at place 2, which holds no item"]),
        ([1, 2, NOTHING], [3, 2, -INF], ["2 items, expected at least 3"]),
    ],
)
def test_faults(info: ServableInfo, items: list[int], scores: list[float], faults: list[str]) -> None:
    answer = Answer("a.jsonl:1", items, np.array(scores, np.float32), least=5)
    assert faults_of(answer, info, 3) == [f"a.jsonl:1: {fault}" for fault in faults]


def test_a_refusal_is_the_only_fault(info: ServableInfo) -> None:
    answer = Answer("a.jsonl:1", refusal=ServingError(Code.INTERNAL, "broken"))
    assert faults_of(answer, info, 3) == ["a.jsonl:1: broken"]


def test_golden_requests_are_answered_as_a_client_would_be(
    int_server: Server, info: ServableInfo, tmp_path: Path
) -> None:
    lines = '[104, 104]\n\n{"events": [{"item": 102, "event_type": "purchase"}], "exclude": [101, 103]}\n'
    target = f"127.0.0.1:{int_server.port}"
    first, second = ask_all(target, info, golden(tmp_path, lines + '{"events": [], "allow": [105]}\n'))[:2]
    assert (first.path, second.path) == ("golden.jsonl:1", "golden.jsonl:3")
    assert first.items[:2] == [104, 101]
    assert first.scores[0] == 1000 + 2 * 1.5 - 3 * 0.0625
    # Six items, less those that were had or are left out.
    assert (first.least, second.least) == (5, 3)
    assert second.items == [102, 104, 105, 106, NOTHING]
    assert faults_of(second, info, 5) == []
    # What was sent is kept for the load, and is what the answer was to.
    assert first.request
    assert first.request != second.request


def test_nobody_knows_how_many_of_the_allowed_there_are(
    int_server: Server, info: ServableInfo, tmp_path: Path
) -> None:
    asked = golden(tmp_path, '{"events": [], "allow": [105, 7]}')
    (answer,) = ask_all(f"127.0.0.1:{int_server.port}", info, asked)
    assert answer.items == [105, NOTHING, NOTHING, NOTHING, NOTHING]
    assert faults_of(answer, info, 5) == []


def test_what_the_version_does_not_take_is_a_refusal(
    int_server: Server, info: ServableInfo, tmp_path: Path
) -> None:
    asked = golden(tmp_path, '["abc"]\n{"events": [], "statistics": {"x": {}}}\n[101]')
    first, second, third = ask_all(f"127.0.0.1:{int_server.port}", info, asked)
    assert "golden.jsonl:1.events[0].item: expected an integer, found 'abc'" in str(first.refusal)
    assert "golden.jsonl:2.statistics: the model's ids are integers, found 'x'" in str(second.refusal)
    assert third.refusal is None
