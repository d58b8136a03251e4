"""Both stages over gRPC: an exported servable, the embedded server, and the client."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from serving.client import Event, Query, Recommender, ServingError
from serving.server import ServerSettings, running
from tests.tfrec.ranked import KNOWN_OF, K, Ranked, asked_at, of_known, recommended
from tfrec.errors import DataError
from tfrec.export import export
from tfrec.servable import ServableInfo


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
    # Others that are asked at the same time are answered all the same.
    alone = client.rank([], known[:7], request_time=0)
    lists = [known[:7], [known[0], -5], known[:7]] * 4
    with ThreadPoolExecutor(len(lists)) as pool:
        asked = [pool.submit(client.rank, [], candidates, request_time=0) for candidates in lists]
    for candidates, one in zip(lists, asked, strict=True):
        if -5 in candidates:
            assert isinstance(one.exception(), ServingError)
        else:
            assert [each.item for each in one.result()] == [each.item for each in alone]
            scores = [[each.score for each in found] for found in (one.result(), alone)]
            np.testing.assert_allclose(*scores, rtol=1e-4)
