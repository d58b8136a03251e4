"""Retrieve, rank, rules: a servable with tasks, asked as a graph and by a client over gRPC."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.client import Event, Query, Recommender, ServingError
from serving.server import ServerSettings, running
from tests.tfrec.shown import CANDIDATES, shown_to
from tests.tfrec.test_export import nothing, requests_at
from tests.tfrec.test_model import small
from tests.tfrec.test_ranking import BOTH, built
from tfrec.config import Settings
from tfrec.dataset import Dataset
from tfrec.errors import DataError, SettingsError
from tfrec.export import export
from tfrec.impressions import Impressions
from tfrec.index import ExactIndex
from tfrec.ranking_lists import RankingLists
from tfrec.ranking_prediction import RankingPredictor
from tfrec.schema import PADDING_ROW, UNKNOWN_ROW
from tfrec.servable import ServableInfo, no_item
from tfrec.settings_file import known_keys
from tfrec.signatures import Servable
from tfrec.trained import TrainedModel
from tfrec.two_stage_prediction import TwoStagePredictor
from tfrec.vocabulary import Vocabulary

K = 6
DEVICES = np.array(["", "phone", "desk"], object)
"""Of the rows of an impression's device from 1 on: preparation takes what is missing for unknown."""
Arrays = dict[str, np.ndarray]


class Ranked:
    """A model with tasks whose weights hide nothing, and its answers under settings, without an export."""

    def __init__(self, dataset: Dataset, impressions: Impressions, folder: Path) -> None:
        device = np.maximum(impressions.context["device"], UNKNOWN_ROW)
        self.impressions = replace(impressions, context={"device": device})
        self.folder = folder
        model, _ = built(dataset, impressions, small(BOTH))
        random = np.random.default_rng(0)
        for weight in model.trainable_weights:
            weight.assign_add(random.normal(0, 0.1, weight.shape))
        self.dataset = replace(dataset, impression_context={"device": Vocabulary(["phone", "desk"])})
        self.trained = TrainedModel(model, small(BOTH), self.dataset)
        (folder / "model").mkdir()
        self.trained.save(folder / "model")

    def ask(self, signature: str, inputs: Arrays, *overrides: str, k: int = K) -> Arrays:
        return answers(self.trained, small(BOTH, *overrides), signature, inputs, k)


def answers(trained: TrainedModel, settings: Settings, signature: str, inputs: Arrays, k: int) -> Arrays:
    """What the graph of a servable says, run as it is."""
    index = ExactIndex(trained.model.candidate_tower.table())
    servable = Servable(trained, settings, index, k, "repeats")
    found = getattr(servable, signature)({name: tf.constant(value) for name, value in inputs.items()})
    return {name: tensor.numpy() for name, tensor in found.items()}


@pytest.fixture(scope="module")
def ranked(rich_dataset: Callable[..., Dataset], tmp_path_factory: pytest.TempPathFactory) -> Ranked:
    return Ranked(*shown_to(rich_dataset()), tmp_path_factory.mktemp("ranked"))


def asked_at(ranked: Ranked, impressions: Impressions) -> Arrays:
    """The requests of known users' impressions: their events before the moment, and where they are."""
    s = ranked.dataset.sequences
    begin = s.offsets[impressions.user]
    spans = [s.time[a:b] for a, b in zip(begin, s.offsets[impressions.user + 1], strict=True)]
    before = [np.searchsorted(*pair) for pair in zip(spans, impressions.time, strict=True)]
    inputs = requests_at(ranked.dataset, begin, begin + before, impressions.time)
    return inputs | {"request_context.device": DEVICES[impressions.context["device"] - 1]}


def of_known(ranked: Ranked) -> Impressions:
    return ranked.impressions.take(np.flatnonzero(ranked.impressions.user >= 0)[::7])


def candidates_of(ranked: Ranked, impressions: Impressions) -> Arrays:
    """Given candidates, those that are new at the moment by ids that the catalogue does not have."""
    shape = (len(impressions), CANDIDATES)
    lists = RankingLists.of(impressions, ranked.dataset, ranked.trained.model.spec.ranking)
    raw = np.concatenate([[-7, -7], ranked.dataset.items.values])[impressions.item]
    return {
        "candidate_item_id": np.where(lists.new, -5, raw).reshape(shape),
        "statistic.click_6h": impressions.statistics["click_6h"].reshape(shape),
    }


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


KNOWN_OF = (0, 7, 400)
"""clicks in six hours of the first three items"""


def recommended(ranked: Ranked, *overrides: str, k: int = K, **more: np.ndarray) -> Arrays:
    """Answers for known users, while something is known of three items."""
    asked = of_known(ranked)
    inputs = asked_at(ranked, asked) | {
        "exclude_item_id": nothing(len(asked)),
        "allow_item_id": nothing(len(asked)),
        "statistic_item_id": np.tile(ranked.dataset.items.values[:3], (len(asked), 1)),
        "statistic.click_6h": np.tile(np.array(KNOWN_OF, np.float32), (len(asked), 1)),
    }
    return ranked.ask("recommend", inputs | more, *overrides, k=k)


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
}


@pytest.mark.parametrize("key", ANSWERS)
def test_setting_reaches_the_answers(ranked: Ranked, key: str) -> None:
    found = recommended(ranked, *ANSWERS[key])["item_id"]
    assert (found != recommended(ranked)["item_id"]).any()


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


@pytest.fixture(scope="module")
def servable(ranked: Ranked) -> Path:
    """An export that refuses unknown candidates, and more than seven."""
    overrides = ["answers.max_candidates=7", "answers.explore=0.2"]
    return export(ranked.folder / "model", ranked.folder / "limited", k=K, overrides=overrides)


def test_the_servable_says_what_it_ranks_by(servable: Path) -> None:
    info = ServableInfo.load(servable)
    assert info.tasks == ("next_item", "click", "order")
    assert info.statistics == ("click_6h",)
    assert info.request_context == {"device": "categorical"}
    assert info.max_candidates == 7


@pytest.fixture(scope="module")
def client(servable: Path) -> Iterator[Recommender]:
    with (
        running(ServerSettings(servable.parent, port=0)) as server,
        Recommender(f"localhost:{server.port}", timeout_s=60) as recommender,
    ):
        yield recommender


def test_a_client_gets_both_stages_and_every_chance(ranked: Ranked, client: Recommender) -> None:
    asked = of_known(ranked).take(np.array([1]))
    inputs = asked_at(ranked, asked)
    events = [
        Event(
            int(item),
            int(time),
            "event",
            context={"device": device, "dwell": None if np.isnan(dwell) else float(dwell)},
        )
        for item, time, device, dwell in zip(
            *(inputs[name][0] for name in ("item_id", "time", "context.device", "context.dwell")), strict=True
        )
    ]
    now, device = int(asked.time[0]), {"device": str(inputs["request_context.device"][0])}
    first = [int(item) for item in ranked.dataset.items.values[:3]]
    statistics = {item: {"click_6h": value} for item, value in zip(first, KNOWN_OF, strict=True)}
    found = client.recommend(events, K, request_time=now, context=device, statistics=statistics)
    of_graph = recommended(ranked, "answers.explore=0.2")
    assert [one.item for one in found] == of_graph["item_id"][1].tolist()
    for name in ("click", "order"):
        chances = [one.probabilities[name] for one in found]
        np.testing.assert_allclose(chances, of_graph[name][1], rtol=1e-4)
    told = client.rank(events, first, request_time=now, context=device, statistics=statistics)
    assert set(told[0].probabilities) == {"click", "order", "next_item"}
    assert [one.score for one in told] == sorted((one.score for one in told), reverse=True)
    # Without what is known of candidates the chances are others.
    blind = client.rank(events, first, request_time=now, context=device)
    assert {one.item: one.score for one in blind} != {one.item: one.score for one in told}


def test_what_cannot_be_ranked_is_said_over_grpc(ranked: Ranked, client: Recommender) -> None:
    known = [int(item) for item in ranked.dataset.items.values[:8]]
    with pytest.raises(ServingError, match=r"candidate_item_id: a user may have 7 candidates, found.*8"):
        client.rank([], known)
    with pytest.raises(ServingError, match=r"not in the catalogue.*-5"):
        client.rank([], [known[0], -5])
    with pytest.raises(DataError, match=r"statistics\[-1\]\.clicks: unknown; expected one of click_6h"):
        client.rank([], known[:1], statistics={-1: {"clicks": 3}})
    with pytest.raises(DataError, match=r"context\.place: unknown; expected one of device"):
        client.recommend([], K, context={"place": "home"})
    with pytest.raises(DataError, match=r"queries\[1\]\.context: expected a mapping"):
        client.recommend_many([Query(), Query(context="phone")], K)  # type: ignore[arg-type]
    # Others that are computed in the same batch are answered all the same.
    assert len(client.rank([], known[:7])) == 7
