import numpy as np

from benchmarks.load import Load
from benchmarks.synthetic import VERSION_SCORE
from benchmarks.version_switch import judge
from serving import wire
from serving.tensors import fill


def answer(version: int, versions_of_scores: list[int]) -> bytes:
    response = wire.PredictResponse()
    response.model_spec.version.value = version
    scores = np.array([versions_of_scores], np.float32) * VERSION_SCORE - 3.5
    fill(response.outputs["score"], scores)
    serialized: bytes = response.SerializeToString()
    return serialized


def test_an_answer_of_two_versions_or_of_another_than_it_says_is_seen() -> None:
    answers = [answer(1, [1, 1]), answer(2, [2, 2]), answer(2, [1, 2]), answer(2, [1, 1])]
    figures = judge(Load(seconds=1.0, latencies=[0.01] * 4, errors=["UNAVAILABLE: gone"], answers=answers))
    assert figures["mixed"] == 2
    assert figures["failed"] == 1
    assert figures["requests"] == 5
    assert figures["switches"] == 1
    assert figures["answers_by_version"] == {"1": 1, "2": 3}
