"""What the ranking network takes in reaches what it says, and nothing else does."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.tfrec.shown import CANDIDATES, shown_to
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import CLICK, built
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.layers.ranker import Ranker
from tfrec.layers.relations import Tensors
from tfrec.model import TwoTowerModel
from tfrec.query import Query
from tfrec.schema import PADDING_ROW, UNKNOWN_ROW

Case = tuple[TwoTowerModel, Query, Tensors]


def case(dataset: Dataset, *overrides: str) -> Case:
    """A model whose weights hide nothing, its query of a batch, and the lists of that batch."""
    dataset, impressions = shown_to(dataset)
    settings = small(CLICK, "ranking.unknown=0", *overrides)
    model, epochs = built(dataset, impressions, settings)
    random = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign_add(random.normal(0, 0.1, weight.shape))
    x, y = next(epochs.batches(0))
    return (
        model,
        model(x),
        {name.removeprefix("list."): v for name, v in y.items() if name.startswith("list.")},
    )


def said(found: Case, **changed: np.ndarray) -> np.ndarray:
    model, query, lists = found
    named = {name.replace("context_", "context."): values for name, values in changed.items()}
    return np.asarray(model.rank(query, lists["at"], lists | named))[..., 0]


def test_statistics_are_standardised_logarithms_and_what_is_missing(
    rich_dataset: Callable[..., Dataset],
) -> None:
    model, _, _ = case(rich_dataset())
    raw = np.array([[[0.0], [99.0], [np.nan]]], np.float32)
    expected = [[(0 - 3.5) / 1.0, 0], [(np.log(100) - 3.5) / 1.0, 0], [0, 1]]
    np.testing.assert_allclose(model.ranker._statistics(tf.constant(raw))[0], expected, rtol=1e-5)


def test_a_statistic_that_never_lacked_counts_as_0_where_it_does(
    rich_dataset: Callable[..., Dataset],
) -> None:
    """What nothing was learned of would add the random numbers that a network begins with."""
    spec = case(rich_dataset())[0].spec
    always = tuple(s.model_copy(update={"lacks": False}) for s in spec.impressions.statistics)
    facts = spec.impressions.model_copy(update={"statistics": always})
    ranker = Ranker(spec.model_copy(update={"impressions": facts}))
    found = ranker._statistics(tf.constant([[[np.nan], [0.0]]]))
    np.testing.assert_allclose(found[0], [[-3.5, 0], [-3.5, 0]], rtol=1e-5)


def test_lists_made_of_a_log_do_not_tell_their_labels(rich_dataset: Callable[..., Dataset]) -> None:
    """Neither how long they are nor what else is on them, since what is on them follows from the labels."""
    dataset, impressions = shown_to(rich_dataset())
    facts = impressions.facts.model_copy(update={"sampled": True})
    dataset = replace(dataset, schema=dataset.schema.model_copy(update={"impressions": facts}))
    ones = np.ones(len(impressions.item), np.float32)
    impressions = replace(impressions, facts=facts, stands_for=ones, session=None)
    model, epochs = built(dataset, impressions, small(CLICK))
    model.ranker.length.assign_add(tf.ones_like(model.ranker.length))
    x, y = next(epochs.batches(0))
    lists = {name.removeprefix("list."): v for name, v in y.items() if name.startswith("list.")}
    found = (model, model(x), lists)
    real = lists["candidate"] != PADDING_ROW
    longer = said(found, length=lists["length"] + 20)
    np.testing.assert_array_equal(longer[real], said(found)[real])
    statistics = lists["statistics"].copy()
    statistics[:, 0] = np.nan_to_num(statistics[:, 0]) + 50
    change = np.abs(said(found, statistics=statistics) - said(found))
    assert (change[:, 0][real[:, 0]] > 1e-5).all()
    assert (change[:, 1:][real[:, 1:]] < 1e-6).all()
    with pytest.raises(SettingsError, match="list_blocks=1: these impressions were made of the log"):
        built(dataset, impressions, small(CLICK, "ranking.list_blocks=1"))


@pytest.mark.parametrize("what", ["statistics", "length", "context_device", "candidate"])
def test_what_is_known_of_a_list_reaches_it(rich_dataset: Callable[..., Dataset], what: str) -> None:
    found = case(rich_dataset())
    lists = found[2]
    real = lists["candidate"] != PADDING_ROW
    changes = {
        "statistics": lists["statistics"] + 50,
        "length": lists["length"] + 20,
        "context_device": (lists["context.device"] + 1) % 4,
        "candidate": np.where(real, np.maximum(lists["candidate"] - 1, UNKNOWN_ROW), PADDING_ROW),
    }
    assert (np.abs(said(found, **{what: changes[what]}) - said(found))[real] > 1e-6).mean() > 0.8


@pytest.mark.parametrize("blocks", [0, 1])
def test_candidates_see_each_other(rich_dataset: Callable[..., Dataset], blocks: int) -> None:
    found = case(rich_dataset(), f"ranking.list_blocks={blocks}")
    statistics = found[2]["statistics"].copy()
    statistics[:, 0] = np.nan_to_num(statistics[:, 0]) + 50
    lists = np.flatnonzero(found[2]["length"] == CANDIDATES)
    change = np.abs(said(found, statistics=statistics) - said(found))[lists]
    assert (change[:, 0] > 1e-5).all()
    assert bool((change[:, 1:CANDIDATES] > 1e-6).any()) == (blocks > 0)


def test_what_pads_a_list_says_nothing(rich_dataset: Callable[..., Dataset]) -> None:
    found = case(rich_dataset())
    real = found[2]["candidate"] != PADDING_ROW
    statistics = np.where(real[..., None], found[2]["statistics"], 1e4).astype(np.float32)
    np.testing.assert_allclose(
        said(found, statistics=statistics)[real], said(found)[real], rtol=1e-4, atol=1e-5
    )


def test_attention_sees_the_events_before_the_request_alone(rich_dataset: Callable[..., Dataset]) -> None:
    found = case(rich_dataset())
    model, query, lists = found
    events, visible = (np.asarray(x) for x in (query.looked_at.events, query.looked_at.visible))
    at = lists["at"]
    seen = np.zeros(events.shape[:2], bool)
    for row, place in at:
        seen[row] |= visible[row, place]

    def with_events(changed: np.ndarray) -> np.ndarray:
        encoded = query.looked_at._replace(events=tf.constant(changed))
        return said((model, query._replace(looked_at=encoded), lists))

    before = said(found)
    np.testing.assert_array_equal(
        with_events(np.where(seen[..., None], events, 9.0).astype(np.float32)), before
    )
    assert np.abs(with_events(events + seen[..., None]) - before).max() > 1e-4


def test_a_hidden_candidate_is_an_unknown_one(rich_dataset: Callable[..., Dataset]) -> None:
    """Neither its id nor its features tell that somebody will click it."""
    dataset, impressions = shown_to(rich_dataset())
    model, epochs = built(dataset, impressions, small(CLICK))
    x, y = next(epochs.batches(0))
    query = model(x)
    lists = {name.removeprefix("list."): v for name, v in y.items() if name.startswith("list.")}
    everything = np.ones_like(lists["hidden"])
    hidden = model.rank(query, lists["at"], lists | {"hidden": everything})
    real = lists["candidate"] != PADDING_ROW
    unknown = lists | {"candidate": np.where(real, UNKNOWN_ROW, PADDING_ROW).astype(np.int32)}
    np.testing.assert_array_equal(hidden[real], model.rank(query, lists["at"], unknown)[real])


@pytest.mark.parametrize(("part", "other"), [("state", "product"), ("product", "state")])
def test_the_state_of_the_request_reaches_it_both_ways(
    rich_dataset: Callable[..., Dataset], part: str, other: str
) -> None:
    """By itself and by its product with the candidate; the states of other requests do not."""
    found = case(rich_dataset(), "ranking.attention=false")
    model, query, lists = found
    model.ranker.parts[other].kernel.assign(tf.zeros_like(model.ranker.parts[other].kernel))
    state = np.asarray(query.looked_at.state)
    own = np.zeros(state.shape, bool)
    own[tuple(lists["at"].T)] = True

    def with_state(changed: np.ndarray) -> np.ndarray:
        encoded = query.looked_at._replace(state=tf.constant(changed))
        return said((model, query._replace(looked_at=encoded), lists))

    real = lists["candidate"] != PADDING_ROW
    changed = with_state(np.where(own, state * 2 + 1, state))
    assert (np.abs(changed - said(found))[real] > 1e-6).mean() > 0.8
    np.testing.assert_array_equal(with_state(np.where(own, state, 9.0).astype(np.float32)), said(found))


def test_a_context_that_is_missing_says_nothing(rich_dataset: Callable[..., Dataset]) -> None:
    found = case(rich_dataset())
    missing = np.full_like(found[2]["context.device"], PADDING_ROW)
    before = said(found, context_device=missing)
    found[0].ranker.tables["device"].assign_add(np.eye(4, 1, dtype=np.float32) * 5)  # the row of padding
    np.testing.assert_array_equal(said(found, context_device=missing), before)
