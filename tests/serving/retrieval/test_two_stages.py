"""Both stages and rules, of a model with tasks: as the servable's graph has them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from serving.retrieval.encoder import Prediction
from serving.retrieval.local import LocalEncoder
from serving.server import ServerSettings, running
from serving.signatures import Signature
from tests.serving.retrieval.asking import MODEL, Ask, Asked, ranking_of
from tests.tfrec.asking import nothing
from tests.tfrec.ranked import KNOWN_OF, K, Ranked, of_known, recommended
from tfrec.errors import SettingsError
from tfrec.export import export
from tfrec.indexing import index_model
from tfrec.servable import RANK_ENCODED, WARMUP_FILE

ANSWERS = {
    "two stages": (),
    "retrieval alone": ("answers.formula=retrieval",),
    "formula": ("answers.formula=click * order ** 0.5 + retrieval", "answers.retrieve=9"),
    "rules": ("answers.at_most={colour: 2}", "answers.diversity=0.4"),
}


@pytest.fixture(scope="module")
def servable(ranked: Ranked) -> Path:
    """An export as the model's own settings say."""
    return export(ranked.folder / "model", ranked.folder / "plain" / "shop", k=K).parent


@pytest.fixture(scope="module")
def encoder(servable: Path) -> Iterator[str]:
    """Where an embedded server has it, for all tests that change the index alone."""
    with running(ServerSettings(servable, name=MODEL, port=0)) as server:
        yield f"localhost:{server.port}"


def served(ranked: Ranked, ask: Ask, encoder: str | Path, index: Path, *overrides: str) -> Asked:
    """A server of the model, elsewhere or in the server, and an index with settings of its own."""
    index_model(ranked.folder / "model", index, overrides=overrides, quiet=True)
    return ask(index, servable=encoder) if isinstance(encoder, Path) else ask(index, encoder=encoder)


@pytest.mark.parametrize("rules", ANSWERS)
def test_both_stages_are_those_of_the_servable(
    ranked: Ranked, ask: Ask, encoder: str, rules: str, tmp_path: Path
) -> None:
    overrides = ANSWERS[rules]
    has: str | Path = encoder
    # The formula is the encoder's, how many are ranked and rules are the index's.
    if any("formula" in one for one in overrides):
        has = export(ranked.folder / "model", tmp_path / "shop", k=K, overrides=overrides).parent
    asked = served(ranked, ask, has, tmp_path / "index", *overrides)
    expected = recommended(ranked, *overrides)
    users = len(expected["item_id"])
    known = {
        "statistic_item_id": np.tile(ranked.dataset.items.values[:3], (users, 1)),
        "statistic.click_6h": np.tile(np.array(KNOWN_OF, np.float32), (users, 1)),
    }
    found = asked.predict(ranking_of(ranked, **known))
    assert found.outputs.keys() == {"item_id", "score", "click", "order"}
    np.testing.assert_array_equal(found["item_id"], expected["item_id"])
    for name in ("score", "click", "order"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)


def test_servables_that_rank_sequences_alone_are_asked_for_that(
    ranked: Ranked, ask: Ask, servable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signatures: list[str] = []
    predict = LocalEncoder.predict

    async def noted(self: LocalEncoder, spec: Any, signature: Signature, *rest: Any) -> Prediction:
        signatures.append(signature.name)
        return await predict(self, spec, signature, *rest)

    monkeypatch.setattr(LocalEncoder, "predict", noted)
    older = tmp_path / "shop"
    shutil.copytree(servable, older)
    (version,) = older.iterdir()
    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    del saved.meta_graphs[0].signature_def[RANK_ENCODED]
    (version / "saved_model.pb").write_bytes(saved.SerializeToString())
    (version / "assets.extra" / WARMUP_FILE).unlink()
    users = len(of_known(ranked))
    sequence = ranking_of(ranked) | {"statistic_item_id": nothing(users)}
    sequence["statistic.click_6h"] = np.zeros((users, 0), np.float32)
    found = [
        served(ranked, ask, folder, tmp_path / f"index {number}").predict(sequence)
        for number, folder in enumerate((older, servable))
    ]
    # The server itself asks to encode something now and then, to see that encoder and index fit.
    assert [name for name in signatures if name != "encode"] == ["rank", "rank_encoded"]
    np.testing.assert_array_equal(found[0]["item_id"], found[1]["item_id"])
    np.testing.assert_allclose(found[0]["score"], found[1]["score"], atol=1e-5)


def test_a_user_without_candidates_fails_nobody(
    ranked: Ranked, ask: Ask, encoder: str, tmp_path: Path
) -> None:
    few = ("answers.retrieve=9", "answers.max_candidates=9")
    asked = served(ranked, ask, encoder, tmp_path / "index", *few)
    inputs = ranking_of(ranked)
    users = len(inputs["length"])
    allow = np.tile(ranked.dataset.items.values[:4], (users, 1))
    allow[0] = 123456789
    found = asked.predict(inputs | {"allow_item_id": allow})
    assert np.isneginf(found["score"][0]).all()
    assert (found["click"][0] == 0).all()
    others = asked.predict({name: value[1:] for name, value in (inputs | {"allow_item_id": allow}).items()})
    for name in ("item_id", "score", "click", "order"):
        np.testing.assert_allclose(found[name][1:], others[name], rtol=1e-4)
    nobody = inputs | {"exclude_item_id": np.tile(ranked.dataset.items.values, (users, 1))}
    assert np.isneginf(asked.predict(nobody)["score"]).all()


def test_no_more_is_retrieved_than_may_be_ranked(ranked: Ranked, tmp_path: Path) -> None:
    more = ["answers.retrieve=20", "answers.max_candidates=10"]
    with pytest.raises(SettingsError, match="expected no more"):
        index_model(ranked.folder / "model", tmp_path / "index", overrides=more)


def test_exploration_draws_the_same_lots_for_the_same_request(
    ranked: Ranked, ask: Ask, encoder: str, tmp_path: Path
) -> None:
    inputs, found = ranking_of(ranked), {}
    for name, by in (("none", "lot"), ("some", "lot"), ("all", "lot"), ("thompson", "thompson")):
        share = {"none": 0, "all": 1}.get(name, 0.5)
        rules = (f"answers.explore={share}", f"answers.explore_by={by}", "answers.at_most={colour: 2}")
        asked = served(ranked, ask, encoder, tmp_path / name, *rules)
        first, again = (asked.predict(inputs)["item_id"] for _ in range(2))
        np.testing.assert_array_equal(first, again)
        found[name] = first
    changed = {name: (answers != found["none"]).mean() for name, answers in found.items()}
    assert 0.1 < changed["some"] < changed["all"]
    assert 0.02 < changed["thompson"] < changed["some"]
    colour = ranked.dataset.catalogue.set_index("item_id")["colour"]
    for answers in found.values():
        for answer in answers:
            assert (colour.loc[answer[answer > 0]].value_counts() <= 2).all()
