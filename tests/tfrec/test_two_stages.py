"""Retrieve, rank, rules: what a servable with tasks computes."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.tfrec.asking import nothing, requests_at
from tests.tfrec.ranked import KNOWN_OF, K, Ranked, answers, asked_at, candidates_of, of_known, recommended
from tests.tfrec.shown import CANDIDATES
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import BOTH, built
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.export import export
from tfrec.query import Query
from tfrec.ranking_prediction import RankingPredictor
from tfrec.schema import PADDING_ROW
from tfrec.servable import STATES, no_item
from tfrec.settings_file import known_keys
from tfrec.trained import TrainedModel
from tfrec.two_stage_prediction import TwoStagePredictor


def test_rank_gives_the_chances_that_the_model_gives(ranked: Ranked) -> None:
    asked = of_known(ranked)
    expected = RankingPredictor(ranked.trained.model, quiet=True)(ranked.dataset, asked)
    settings = ("answers.unknown_candidates=rank", "answers.formula=click * order ** 0.5")
    inputs = asked_at(ranked, asked) | candidates_of(ranked, asked)
    found = ranked.ask("rank", inputs, *settings)
    given = np.stack([found["click"], found["order"]], axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(given, expected, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found["score"], found["click"] * found["order"] ** 0.5, rtol=1e-5)
    assert (found["next_item"][inputs["candidate_item_id"] == -5] == 0).all()
    assert {"click", "order", "next_item", "score"} == set(found)


def test_lists_of_unlike_length_are_ranked_as_alone(ranked: Ranked) -> None:
    asked = of_known(ranked)
    inputs = asked_at(ranked, asked) | candidates_of(ranked, asked)
    whole = ranked.ask("rank", inputs, "answers.unknown_candidates=rank")
    pad = {
        "candidate_item_id": np.full((len(asked), 3), no_item("int64")),
        "statistic.click_6h": np.full((len(asked), 3), 9, np.float32),
    }
    more = {name: np.concatenate([inputs[name], values], axis=1) for name, values in pad.items()}
    padded = ranked.ask("rank", inputs | more, "answers.unknown_candidates=rank")
    for name, values in whole.items():
        np.testing.assert_allclose(padded[name][:, :CANDIDATES], values, rtol=1e-5, atol=1e-7)
        assert (padded[name][:, CANDIDATES:] == 0).all()


def test_what_was_encoded_is_ranked_as_the_sequence_is(ranked: Ranked) -> None:
    asked = of_known(ranked)
    sequence, lists = asked_at(ranked, asked), candidates_of(ranked, asked)
    settings = ("answers.unknown_candidates=rank", "answers.formula=click * order ** 0.5")
    expected = ranked.ask("rank", sequence | lists, *settings)
    encoded = ranked.ask("encode", sequence, *settings)
    assert encoded["event_state"].shape[:2] == sequence["item_id"].shape
    states = {name: encoded[name] for name in STATES}
    # A batch is as wide as its widest sequence, and what it is filled with may look like an event.
    states["event_state"] = np.pad(states["event_state"], [(0, 0), (0, 2), (0, 0)], constant_values=1.0)
    of_request = {name: sequence[name] for name in ("length", "request_context.device")}
    known = lists["candidate_item_id"] != -5
    rows = ranked.dataset.items.rows(lists["candidate_item_id"])
    candidates = ranked.trained.model.candidate_tower.table().numpy()[rows]
    products = np.einsum("ud,ucd->uc", encoded["query_embedding"], candidates)
    # A chance is that of the score; what is scored a second way as well has more than its product.
    chances = np.log(np.where(known, expected["next_item"], 1.0))
    normaliser = np.max(np.where(known, products - chances, -np.inf), axis=1, keepdims=True)
    scores = np.where(known, chances + normaliser, -np.inf)
    found = ranked.ask("rank_encoded", states | of_request | lists | {"retrieval_score": scores}, *settings)
    assert found.keys() == {"click", "order", "score"}
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-3, atol=1e-6)


def test_a_new_item_has_the_score_that_a_search_gave_it(ranked: Ranked) -> None:
    asked = of_known(ranked)
    sequence, lists = asked_at(ranked, asked), candidates_of(ranked, asked)
    lists["candidate_item_id"] = np.full((len(asked), CANDIDATES), -5)
    settings = ("answers.unknown_candidates=rank", "answers.formula=retrieval")
    encoded = ranked.ask("encode", sequence, *settings)
    given = {name: encoded[name] for name in STATES} | lists
    given |= {name: sequence[name] for name in ("length", "request_context.device")}
    scores = np.tile(-np.arange(CANDIDATES, dtype=np.float32), (len(asked), 1))
    found = ranked.ask("rank_encoded", given | {"retrieval_score": scores}, *settings)
    np.testing.assert_allclose(found["score"], np.exp(scores), rtol=1e-5)


def test_what_the_catalogue_does_not_have_is_ranked_by_what_is_known_of_it(ranked: Ranked) -> None:
    """Retrieval says nothing of it: it is as good as the worst that retrieval knows."""
    asked = of_known(ranked)
    lists = candidates_of(ranked, asked) | {"candidate_item_id": np.full((len(asked), CANDIDATES), -5)}
    found = ranked.ask("rank", asked_at(ranked, asked) | lists, "answers.unknown_candidates=rank")
    np.testing.assert_allclose(found["score"], found["click"], rtol=1e-5)
    assert (np.ptp(found["score"], axis=1) > 0).all()
    lists["candidate_item_id"][:, 0] = ranked.dataset.items.values[0]
    found = ranked.ask("rank", asked_at(ranked, asked) | lists, "answers.unknown_candidates=rank")
    np.testing.assert_allclose(found["score"], found["click"], rtol=1e-5)


@pytest.mark.parametrize(
    "formula", ["click - 5", "(click - 0.5 * order - 0.2) ** 0.5", "click - 1e30 * order"]
)
@pytest.mark.parametrize("rules", [(), ("answers.diversity=0.3", "answers.at_most={colour: 2}")])
def test_whatever_a_formula_gives_no_item_is_answered_twice(
    ranked: Ranked, formula: str, rules: tuple[str, ...]
) -> None:
    found = recommended(ranked, f"answers.formula={formula}", *rules)
    for items, scores in zip(found["item_id"].tolist(), found["score"], strict=True):
        some = [item for item in items if item != no_item("int64")]
        assert len(set(some)) == len(some) >= 4
        assert np.isfinite(scores[: len(some)]).all()


def test_answers_are_what_rank_says_of_what_was_retrieved(ranked: Ranked) -> None:
    by_retrieval = ("answers.retrieve=9", "answers.formula=retrieval")
    retrieved = recommended(ranked, *by_retrieval, k=9)["item_id"]
    np.testing.assert_array_equal(recommended(ranked, *by_retrieval)["item_id"], retrieved[:, :K])
    known = dict(zip(ranked.dataset.items.values[:3].tolist(), KNOWN_OF, strict=True))
    statistic = [[known.get(item, np.nan) for item in row] for row in retrieved.tolist()]
    lists = {"candidate_item_id": retrieved, "statistic.click_6h": np.array(statistic, np.float32)}
    told = ranked.ask("rank", asked_at(ranked, of_known(ranked)) | lists)
    order = np.argsort(-told["score"], axis=1, kind="stable")[:, :K]
    found = recommended(ranked, "answers.retrieve=9")
    np.testing.assert_array_equal(found["item_id"], np.take_along_axis(retrieved, order, axis=1))
    for name in ("score", "click", "order"):
        np.testing.assert_allclose(found[name], np.take_along_axis(told[name], order, axis=1), rtol=1e-4)


ANSWERS: dict[str, tuple[str, ...]] = {
    "answers.retrieve": ("answers.retrieve=6",),
    "answers.formula": ("answers.formula=order",),
    "answers.at_most": ("answers.at_most={colour: 1}",),
    "answers.diversity": ("answers.diversity=0.9",),
    "answers.explore": ("answers.explore=0.9",),
    "answers.explore_by": ("answers.explore_by=thompson",),
    "answers.uncertainty": ("answers.uncertainty=9",),
}
UNDER = {
    "answers.explore_by": ("answers.explore=0.9",),
    "answers.uncertainty": ("answers.explore=0.9", "answers.explore_by=thompson"),
}
"""what a setting says nothing without"""


@pytest.mark.parametrize("key", ANSWERS)
def test_setting_reaches_the_answers(ranked: Ranked, key: str) -> None:
    under = UNDER.get(key, ())
    found = recommended(ranked, *under, *ANSWERS[key])["item_id"]
    assert (found != recommended(ranked, *under)["item_id"]).any()


def test_every_setting_of_answers_is_tried() -> None:
    of_requests = {"answers.max_candidates", "answers.unknown_candidates"}  # tests of what is refused
    assert {*ANSWERS, *of_requests} == {key for key in known_keys() if key.startswith("answers.")}


def test_rules_need_no_tasks(ranked: Ranked, rich_dataset: Callable[..., Dataset]) -> None:
    dataset, impressions = rich_dataset(), ranked.impressions
    model, _ = built(dataset, impressions, small())
    settings = small("answers.at_most={colour: 2}")
    s, positions = dataset.sequences, np.flatnonzero(dataset.sequences.is_role("test"))[:5]
    inputs = requests_at(dataset, s.offsets[s.user_of_event[positions]], positions, s.time[positions])
    inputs |= dict.fromkeys(("exclude_item_id", "allow_item_id"), nothing(5))
    found = answers(TrainedModel(model, settings, dataset), settings, "recommend", inputs, 20)
    assert set(found) == {"item_id", "score"}
    colour = dataset.catalogue.set_index("item_id")["colour"]
    for items in found["item_id"]:
        counts = colour[[item for item in items if item != no_item("int64")]].value_counts()
        assert counts.to_dict() == {"red": 2, "blue": 2}


def test_queries_of_a_dataset_get_what_a_servable_answers(ranked: Ranked) -> None:
    """Batch answers: the same two stages, but for circumstances that a dataset does not know."""
    s, model = ranked.dataset.sequences, ranked.trained.model
    # When every item is known: what is not, a dataset hides, and a servable's catalogue has no such ones.
    known_from = s.time[np.unique(s.item, return_index=True)[1]].max()
    # Of users whose events all fit into a window, which a servable has whole and a predictor by halves.
    short = (np.diff(s.offsets) <= 15)[s.user_of_event]
    positions = np.flatnonzero(s.is_role("test") & short & (s.time > known_from))
    assert len(positions) > 5
    begin = s.offsets[s.user_of_event[positions]]
    first = ranked.dataset.items.rows(ranked.dataset.items.values[:3])

    def known(rows: np.ndarray, position: np.ndarray) -> np.ndarray:
        assert set(position) <= set(positions)
        found = np.full((*rows.shape, 1), np.nan, np.float32)
        for row, clicks in zip(first, KNOWN_OF, strict=True):
            found[rows == row] = clicks
        return found

    settings = small(BOTH, "answers.retrieve=9", "answers.at_most={colour: 2}")
    predictor = TwoStagePredictor(model, settings, ranked.dataset, known, k=K, quiet=True)
    inputs = requests_at(ranked.dataset, begin, positions, s.time[positions]) | {
        "exclude_item_id": nothing(len(positions)),
        "allow_item_id": nothing(len(positions)),
        "request_context.device": np.full(len(positions), "", object),
        "statistic_item_id": np.tile(ranked.dataset.items.values[:3], (len(positions), 1)),
        "statistic.click_6h": np.tile(np.array(KNOWN_OF, np.float32), (len(positions), 1)),
    }
    expected = answers(ranked.trained, settings, "recommend", inputs, K)["item_id"]
    found = predictor(ranked.dataset, positions)
    real = expected != no_item("int64")
    np.testing.assert_array_equal(found != PADDING_ROW, real)
    np.testing.assert_array_equal(ranked.dataset.items.values[found[real] - 2], expected[real])


def test_items_that_nobody_had_yet_are_unknown_to_a_query(ranked: Ranked) -> None:
    """A log holds the future: its catalogue has items that come after the query."""
    s = ranked.dataset.sequences
    positions = np.flatnonzero(s.is_role("val"))
    predictor = TwoStagePredictor(
        ranked.trained.model,
        small(BOTH, "answers.retrieve=30"),
        ranked.dataset,
        lambda rows, position: np.zeros((*rows.shape, 1), np.float32),
        k=K,
        quiet=True,
    )
    rank, seen = predictor._rank, []

    def spied(
        query: Query, at: tf.Tensor, lists: dict[str, np.ndarray], scores: tf.Tensor, *more: tf.Tensor
    ) -> tf.Tensor:
        seen.append((lists["candidate"], lists["hidden"], more[1].numpy()))
        return rank(query, at, lists, scores, *more)

    predictor._rank = spied
    predictor(ranked.dataset, positions)
    found = 0
    for candidate, hidden, position in seen:
        for rows, marks, asked in zip(candidate, hidden, position, strict=True):
            for row, mark in zip(rows[rows > 1], marks[rows > 1], strict=True):
                assert mark == (not (s.time[s.item == row] < s.time[asked]).any())
                found += int(mark)
    assert found > 0


def test_what_is_allowed_is_ranked_alone(ranked: Ranked) -> None:
    allow = np.tile(ranked.dataset.items.values[[4, 9, 11]], (len(of_known(ranked)), 1))
    found = recommended(ranked, "answers.retrieve=6", allow_item_id=allow)["item_id"]
    assert {*found[:, :3].ravel().tolist()} == {*allow[0].tolist()}
    assert (found[:, 3:] == no_item("int64")).all()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("model.blocks=3", "the model is trained already"),
        ("answers.at_most={shape: 1}", "answers.at_most: 'shape' is no feature of the catalogue"),
        ("answers.formula=like", "like is none of click, order, retrieval"),
        ("answers.diversty=0.1", "the nearest known one is answers.diversity"),
    ],
)
def test_settings_that_a_servable_cannot_have_are_refused(ranked: Ranked, override: str, words: str) -> None:
    before = {*ranked.folder.iterdir()}
    with pytest.raises(SettingsError, match=words):
        export(ranked.folder / "model", ranked.folder / "shop", k=K, overrides=[override])
    assert {*ranked.folder.iterdir()} == before
