"""Rules of answers: each against what a loop in plain Python chooses."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.config_answers import AnswerSettings
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.reranking import Rules
from tfrec.schema import FIRST_ROW, PADDING_ROW

CANDIDATES, K = 12, 7


@pytest.fixture(scope="module")
def log(rich_dataset: Callable[..., Dataset]) -> Dataset:
    return rich_dataset()


def colours(log: Dataset) -> np.ndarray:
    """The colour of each row of the catalogue; None for none, and for what is no item."""
    named = [colour if isinstance(colour, str) else None for colour in log.catalogue["colour"]]
    return np.array([None, None, *named], object)


def case(log: Dataset, seed: int, holes: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates of one request, each once, the last ones missing; their values and embeddings."""
    random = np.random.default_rng(seed)
    rows = (random.permutation(len(log.catalogue))[:CANDIDATES] + FIRST_ROW).astype(np.int32)
    rows[CANDIDATES - holes :] = PADDING_ROW
    value = np.sort(random.random(CANDIDATES).astype(np.float32))[::-1]
    return rows, np.ascontiguousarray(value), random.normal(size=(CANDIDATES, 3)).astype(np.float32)


def chosen(rules: Rules, *cases: tuple[np.ndarray, np.ndarray, np.ndarray], key: int = 1) -> np.ndarray:
    parts = [tf.constant(np.stack(part)) for part in zip(*cases, strict=True)]
    keys = tf.constant(np.arange(key, key + len(cases)), tf.int64)
    return rules.choose(*parts, keys, K).numpy()


def by_hand(log: Dataset, answers: AnswerSettings, case: tuple[np.ndarray, ...]) -> list[int]:
    """Greedy maximal marginal relevance under the limits; without exploration."""
    rows, value, embedding = case
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    colour, most = colours(log)[rows], answers.at_most.get("colour", K)
    places: list[int] = []
    for _ in range(K):
        best, best_utility = -1, -np.inf
        for place in range(CANDIDATES):
            same = sum(colour[place] is not None and colour[p] == colour[place] for p in places)
            if rows[place] == PADDING_ROW or place in places or same >= most:
                continue
            nearest = max((float(unit[place] @ unit[p]) for p in places), default=0.0)
            utility = (1 - answers.diversity) * value[place] - answers.diversity * nearest
            if utility > best_utility + 1e-6:
                best, best_utility = place, utility
        places.append(best)
    return [place for place in places if place >= 0] + [-1] * places.count(-1)


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([None, 1, 2]),
    st.integers(0, CANDIDATES),
)
def test_limits_and_diversity_are_those_of_a_loop(
    log: Dataset, seed: int, diversity: float, most: int | None, holes: int
) -> None:
    answers = AnswerSettings(diversity=diversity, at_most={} if most is None else {"colour": most})
    cases = [case(log, seed, holes), case(log, seed + 1)]
    found = chosen(Rules(answers, log, 1), *cases)
    for one, asked in zip(found, cases, strict=True):
        assert one.tolist() == by_hand(log, answers, asked)


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.sampled_from([0.2, 1.0]),
    st.integers(0, CANDIDATES),
    st.sampled_from(["lot", "thompson"]),
)
def test_whatever_is_explored_no_answer_comes_twice_or_breaks_a_limit(
    log: Dataset, seed: int, explore: float, holes: int, by: Literal["lot", "thompson"]
) -> None:
    answers = AnswerSettings(explore=explore, explore_by=by, at_most={"colour": 2})
    asked = case(log, seed, holes)
    (found,) = chosen(Rules(answers, log, 1), asked, key=seed)
    places = [place for place in found.tolist() if place >= 0]
    assert len(places) == len(set(places))
    assert (asked[0][places] != PADDING_ROW).all()
    assert found.tolist()[len(places) :] == [-1] * (K - len(places))
    named = [colour for colour in colours(log)[asked[0][places]] if colour is not None]
    assert all(named.count(colour) <= 2 for colour in named)


def test_lots_are_drawn_by_seed_and_request(log: Dataset) -> None:
    asked = case(log, 0)
    answers = AnswerSettings(explore=0.5)
    first = chosen(Rules(answers, log, 1), asked)
    np.testing.assert_array_equal(chosen(Rules(answers, log, 1), asked), first)
    assert (chosen(Rules(answers, log, 2), asked) != first).any()
    assert (chosen(Rules(answers, log, 1), asked, key=2) != first).any()
    # Who is asked beside changes nothing.
    both = chosen(Rules(answers, log, 1), asked, case(log, 1))
    np.testing.assert_array_equal(both[:1], first)


def test_the_share_of_exploration_is_that_of_the_setting(log: Dataset) -> None:
    """Where the best candidate is answered first unless a lot says otherwise."""
    cases = [case(log, seed) for seed in range(400)]
    found = chosen(Rules(AnswerSettings(explore=0.3), log, 1), *cases)
    expected = 0.3 * (1 - 1 / CANDIDATES)  # a lot may hit the best one too
    assert (found[:, 0] != 0).mean() == pytest.approx(expected, abs=0.06)
    assert len(set(found[found[:, 0] != 0, 0])) == CANDIDATES - 1
    assert (chosen(Rules(AnswerSettings(), log, 1), *cases) == np.arange(K)).all()


def test_thompson_sampling_draws_as_wide_as_items_are_unknown(log: Dataset) -> None:
    counts = log.catalogue["train_count"].to_numpy()
    answers = AnswerSettings(explore=1.0, explore_by="thompson", uncertainty=2.0)
    rules = Rules(answers, log, 1)
    rows = np.array([[FIRST_ROW, len(counts) + FIRST_ROW - 1]] * 4000, np.int32)
    keys = tf.range(4000, dtype=tf.int64)
    drawn = rules._normal(keys, tf.constant(rows)).numpy()
    assert abs(drawn.mean()) < 0.05
    np.testing.assert_allclose(drawn.std(axis=0), 1, atol=0.05)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.05
    # Of two, the one of lower value is answered first as often as the difference of two normals says.
    value = np.array([[0.6, 0.4]] * 4000, np.float32)
    embedding = tf.zeros([4000, 2, 3])
    found = rules.choose(tf.constant(rows), tf.constant(value), embedding, keys, 2).numpy()
    deviation = 2.0 * np.sqrt((1 / (1 + counts[[0, -1]])).sum())
    expected = 0.5 * math.erfc(0.2 / deviation / np.sqrt(2))
    assert (found[:, 0] == 1).mean() == pytest.approx(expected, abs=0.03)
    assert (np.sort(found, axis=1) == [0, 1]).all()
    sure = Rules(AnswerSettings(explore=1.0, explore_by="thompson", uncertainty=0), log, 1)
    cases = [case(log, seed) for seed in range(20)]
    assert (chosen(sure, *cases) == np.arange(K)).all()


@pytest.mark.parametrize("name", ["tags", "price", "shape"])
def test_limits_speak_of_features_with_one_value(log: Dataset, name: str) -> None:
    with pytest.raises(SettingsError, match=f"answers.at_most: '{name}' is no feature .* are colour"):
        Rules(AnswerSettings(at_most={name: 2}), log, 1)
