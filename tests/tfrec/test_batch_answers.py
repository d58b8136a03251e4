"""Batch answers beside those of the servable to the same request."""

from dataclasses import replace

import numpy as np
import pytest

from tests.tfrec.asking import nothing, requests_at
from tests.tfrec.made import Made
from tests.tfrec.ranked import KNOWN_OF, Ranked, answers
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import BOTH
from tfrec import batch_answers
from tfrec.batch_answers import BatchAnswers, answer_requests
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.left_out import LeaveOut
from tfrec.next_requests import with_next_requests
from tfrec.schema import FIRST_ROW, UNKNOWN_ROW

K = 7
LATER = 5000
"""Seconds: beyond the gap of a session."""


def moment(dataset: Dataset) -> int:
    """When some users have events left, some are in a session, and one has had none."""
    first = np.sort(dataset.sequences.time[dataset.sequences.offsets[:-1]])
    return int(first[1] + 10)


def asked_by_all(dataset: Dataset, at: int) -> dict[str, np.ndarray]:
    s = dataset.sequences
    begin = s.offsets[:-1]
    spans = [s.time[a:b] for a, b in zip(begin, s.offsets[1:], strict=True)]
    end = begin + [np.searchsorted(span, at) for span in spans]
    return requests_at(dataset, begin, end, np.full(len(begin), at))


def raw(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    return np.concatenate([[-1, -1], dataset.items.values])[rows]


def same_scores(one: np.ndarray, other: np.ndarray) -> None:
    np.testing.assert_allclose(np.sort(one), np.sort(other), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("leave_out", ["repeats", "session", "sequence"])
def test_they_are_those_of_the_servable(made: Made, leave_out: LeaveOut) -> None:
    end = int(made.dataset.sequences.time.max())
    for at in (moment(made.dataset), end + 1, end + LATER):
        inputs = asked_by_all(made.dataset, at)
        queries = len(inputs["length"])
        none = {"exclude_item_id": nothing(queries), "allow_item_id": nothing(queries)}
        expected = answers(made.trained, made.trained.settings, "recommend", inputs | none, K)
        dataset, positions = with_next_requests(made.dataset, at)
        model = BatchAnswers(made.trained, made.trained.settings, K, leave_out=leave_out)
        found = answer_requests(model, dataset, positions)
        assert set(found) == {"row", "score"}
        if leave_out == "repeats":
            np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-4, atol=1e-4)
            agree = raw(made.dataset, found["row"]) == expected["item_id"]
            assert agree.mean() > 0.98  # of equal scores either may come first
        for user, (a, b) in enumerate(zip(*spans(made.dataset), strict=True)):
            had = made.dataset.sequences.item[a:b][made.dataset.sequences.time[a:b] < at]
            if leave_out == "sequence":
                assert not np.isin(found["row"][user], had).any()


def spans(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return dataset.sequences.offsets[:-1], dataset.sequences.offsets[1:]


def test_few_scores_at_a_time_change_nothing(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, positions = with_next_requests(made.dataset, moment(made.dataset))
    model = BatchAnswers(made.trained, made.trained.settings, K)
    found = answer_requests(model, dataset, positions)
    monkeypatch.setattr(batch_answers, "CELLS", 1)
    again = answer_requests(BatchAnswers(made.trained, made.trained.settings, K), dataset, positions)
    np.testing.assert_array_equal(found["row"], again["row"])
    some = positions[::5]
    np.testing.assert_array_equal(answer_requests(model, dataset, some)["row"], found["row"][::5])


def test_nothing_but_what_is_allowed(made: Made) -> None:
    dataset, positions = with_next_requests(made.dataset, moment(made.dataset))
    allowed = np.array([3, 9, 4], np.int32)
    model = BatchAnswers(made.trained, made.trained.settings, K, allowed=allowed)
    found = answer_requests(model, dataset, positions)
    assert {*found["row"].ravel()} == {0, 3, 4, 9}
    assert (np.sort(found["row"], axis=1)[:, -3:] == [3, 4, 9]).all()
    assert (found["score"][found["row"] == 0] == -np.inf).all()


@pytest.mark.parametrize(
    "overrides", [(), ("answers.diversity=0.4",), ('answers.formula="retrieval * click ** 0.5"',)]
)
def test_two_stages_are_those_of_the_servable(ranked: Ranked, overrides: tuple[str, ...]) -> None:
    settings = small(BOTH, *overrides, "answers.retrieve=15")
    statistics = np.full((ranked.dataset.items.size, 1), np.nan, np.float32)
    statistics[FIRST_ROW : FIRST_ROW + len(KNOWN_OF), 0] = KNOWN_OF
    at = moment(ranked.dataset)
    inputs = asked_by_all(ranked.dataset, at)
    queries = len(inputs["length"])
    inputs |= {
        "exclude_item_id": nothing(queries),
        "allow_item_id": nothing(queries),
        "request_context.device": np.full(queries, "", object),
        "statistic_item_id": np.tile(ranked.dataset.items.values[: len(KNOWN_OF)], (queries, 1)),
        "statistic.click_6h": np.tile(np.array(KNOWN_OF, np.float32), (queries, 1)),
    }
    expected = answers(ranked.trained, settings, "recommend", inputs, K)
    dataset, positions = with_next_requests(ranked.dataset, at)
    model = BatchAnswers(ranked.trained, settings, K, statistics=statistics)
    found = answer_requests(model, dataset, positions)
    assert set(found) == {"row", "score", "click", "order"}
    agree = raw(ranked.dataset, found["row"]) == expected["item_id"]
    assert agree.mean() > 0.98
    for name in ("score", "click", "order"):
        np.testing.assert_allclose(found[name][agree], expected[name][agree], rtol=1e-3, atol=1e-4)


def test_requests_stand_behind_what_was_before_them(made: Made) -> None:
    at = moment(made.dataset)
    dataset, positions = with_next_requests(made.dataset, at)
    s, before = dataset.sequences, made.dataset.sequences
    counts = [int((before.time[a:b] < at).sum()) for a, b in zip(*spans(made.dataset), strict=True)]
    assert np.diff(s.offsets).tolist() == [count + 1 for count in counts]
    assert (s.item[positions] == UNKNOWN_ROW).all()
    assert (s.time[positions] == at).all()
    assert min(counts) == 0
    assert max(counts) > 0
    late, at_last = with_next_requests(made.dataset, int(before.time.max()) + LATER)
    assert (late.sequences.session[at_last] == before.session[before.offsets[1:] - 1] + 1).all()


def test_positions_for_times_and_ids_of_sessions(made: Made) -> None:
    s = made.dataset.sequences
    place = (np.arange(len(s.item)) - np.repeat(s.offsets[:-1], np.diff(s.offsets))).astype(np.int64)
    schema = made.dataset.schema.model_copy(update={"has_clock": False})
    dataset = replace(made.dataset, schema=schema, sequences=replace(s, time=place))
    asked, positions = with_next_requests(dataset, None)
    assert (asked.sequences.time[positions] == np.diff(s.offsets)).all()
    assert (asked.sequences.session[positions] == s.session[s.offsets[1:] - 1]).all()
    of_ids = replace(dataset, schema=schema.model_copy(update={"session_from": "id"}))
    asked, positions = with_next_requests(of_ids, None)
    assert (asked.sequences.session[positions] == s.session[s.offsets[1:] - 1] + 1).all()


def test_scann_finds_nearly_what_is_there(made: Made) -> None:
    dataset, positions = with_next_requests(made.dataset, moment(made.dataset))
    settings = made.trained.settings
    allowed = np.arange(FIRST_ROW, made.trained.model.spec.items - 5, dtype=np.int32)
    for rows in (None, allowed):
        exact, scann = (
            answer_requests(
                BatchAnswers(made.trained, settings, K, allowed=rows, search=search), dataset, positions
            )
            for search in ("exact", "scann")
        )
        # In a catalogue as small as this one ScaNN looks at all of it; what it answers is scored exactly.
        assert (scann["row"] == exact["row"]).mean() > 0.95
        np.testing.assert_allclose(scann["score"], exact["score"], rtol=1e-4, atol=1e-4)
        if rows is not None:
            assert np.isin(scann["row"], rows).all()
    with pytest.raises(SettingsError, match=r"ScaNN needs at least 16 items, and 3 can be answered"):
        BatchAnswers(made.trained, settings, K, allowed=allowed[:3], search="scann")
