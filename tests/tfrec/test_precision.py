"""Servables whose candidates are of half precision: half the bytes, and nearly the same answers."""

import json

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import precision as benchmark
from tests.tfrec.asking import ask, nothing, requests
from tests.tfrec.made import K, Made
from tfrec.coarse_index import half_index
from tfrec.errors import SettingsError
from tfrec.graph_index import ExactIndex
from tfrec.placement.kernels import knows_gpu
from tfrec.placement.signatures import placements
from tfrec.servable import ServableInfo

HALF = ("bfloat16", "float16")


@pytest.mark.parametrize("precision", HALF)
def test_answers_are_nearly_those_of_full_precision(made: Made, precision: str) -> None:
    folder = made.folder / precision / "1"
    half, full = made.export(precision, precision=precision), made.exact
    assert ServableInfo.load(folder).precision == precision
    candidates = [v for v in half.variables_read if v.name.startswith("candidates")]
    assert [v.dtype.name for v in candidates] == [precision]
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))
    inputs = requests(made.dataset, positions)
    none = nothing(len(positions))
    ours, theirs = (ask(one, "recommend", inputs, exclude_item_id=none) for one in (half, full))
    assert ours["score"].dtype == np.float32
    shared = [len(set(a) & set(b)) / K for a, b in zip(ours["item_id"], theirs["item_id"], strict=True)]
    assert np.mean(shared) > 0.95
    np.testing.assert_allclose(ours["score"], theirs["score"], atol=0.02)
    everything = np.tile(made.dataset.items.values, (len(positions), 1))
    chances = [ask(one, "rank", inputs, candidate_item_id=everything)["next_item"] for one in (half, full)]
    np.testing.assert_allclose(chances[0], chances[1], atol=0.01)
    np.testing.assert_allclose(chances[0].sum(axis=1), 1, atol=0.01)
    # Ids to leave out and ids to choose from count as ever.
    few = theirs["item_id"][:, [1, 4, 7]].copy()
    ours = ask(half, "recommend", inputs, exclude_item_id=few[:, :1], allow_item_id=few)
    assert all(set(a[:2]) == set(b[1:]) for a, b in zip(ours["item_id"], few, strict=True))
    assert np.isneginf(ours["score"][:, 2:]).all()
    if knows_gpu():
        assert all(one.dense_part_stays for one in placements(folder))


@pytest.mark.parametrize("precision", HALF)
def test_scores_have_more_digits_than_the_candidates(precision: str) -> None:
    """Products of half precision would be equal for many items; what is answered is ordered exactly."""
    random = np.random.default_rng(0)
    table = np.round(random.normal(size=(500, 9)) * 8) / 8
    query = tf.constant(random.normal(size=(4, 9)), tf.float32)
    half, full = (
        half_index(tf.constant(table, tf.float32), 60, precision),
        ExactIndex(tf.constant(table, tf.float32)),
    )
    nothing_else = tf.zeros([4, 1], tf.int32)
    ours, theirs = (index.answer(query, nothing_else, None, nothing_else, 20) for index in (half, full))
    # The table is one that half precision holds exactly, so only the product could differ.
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)


def test_scann_has_a_form_of_its_own(made: Made) -> None:
    with pytest.raises(SettingsError, match="precision=float16: ScaNN keeps candidates in a form of its own"):
        made.export("scann_half", retrieval="scann", precision="float16")


def test_what_it_costs_is_measured(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.main([str(made.folder / "model"), "--dataset", str(made.folder / "dataset")])
    line = capsys.readouterr().out.strip().splitlines()[-1]
    found = json.loads(line)["precisions"]
    assert [one["precision"] for one in found] == ["float32", *HALF]
    assert found[0]["overlap_at_10"] == 1
    assert found[0]["ndcg_at_10"] == pytest.approx(found[2]["ndcg_at_10"], abs=0.05)
    assert found[0]["candidates_mb"] == pytest.approx(2 * found[1]["candidates_mb"])
