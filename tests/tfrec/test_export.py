"""Servables: their answers are the model's, from raw ids, by stock TensorFlow alone."""

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework.func_graph import FuncGraph

from tests.tfrec.asking import ask, nothing, requests
from tests.tfrec.made import K, Made
from tfrec.coarse_index import scann_index
from tfrec.dataset import Dataset
from tfrec.errors import SettingsError
from tfrec.folders import newest_version
from tfrec.prediction import Predictor
from tfrec.servable import ServableInfo, no_item
from tfrec.trained import TrainedModel

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def exact(made: Made) -> Any:
    return made.exact


def test_answers_are_the_model_s(made: Made, exact: Any) -> None:
    dataset = made.dataset
    positions = np.flatnonzero(dataset.sequences.is_role("test"))
    expected = Predictor(made.trained.model, k=K, quiet=True)(dataset, positions)
    for signature in ("serving_default", "recommend"):
        found = ask(
            exact, signature, requests(dataset, positions, 50), exclude_item_id=nothing(len(positions))
        )
        np.testing.assert_array_equal(dataset.items.rows(found["item_id"]), expected)
        assert (np.diff(found["score"]) <= 0).all()


def test_scann_answers_as_exact_search_does(made: Made, exact: Any) -> None:
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))
    inputs = requests(made.dataset, positions)
    scann = made.export("scann", retrieval="scann")
    none = nothing(len(positions))
    ours = ask(scann, "recommend", inputs, exclude_item_id=none)
    theirs = ask(exact, "recommend", inputs, exclude_item_id=none)
    np.testing.assert_array_equal(ours["item_id"], theirs["item_id"])
    np.testing.assert_allclose(ours["score"], theirs["score"], atol=1e-4)
    # Some are allowed alone, of the first user one that is none.
    few = theirs["item_id"][:, [1, 4, 7]].copy()
    few[0] = 123456789
    ours, theirs = (
        ask(servable, "recommend", inputs, exclude_item_id=none, allow_item_id=few)
        for servable in (scann, exact)
    )
    np.testing.assert_array_equal(ours["item_id"], theirs["item_id"])
    np.testing.assert_array_equal(theirs["item_id"][1:, :3], few[1:])
    assert np.isneginf(theirs["score"][1:, 3:]).all()
    assert np.isneginf(theirs["score"][0]).all()


def test_exact_servable_is_stock_tensorflow(made: Made, exact: Any) -> None:
    """Another process without our code loads it and answers the same; it has no op of anyone else."""
    path = made.folder / "exact" / "1"
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graphs = [graph.graph_def for graph in model.meta_graphs]
    ops = {node.op for graph in graphs for node in graph.node}
    ops |= {node.op for graph in graphs for function in graph.library.function for node in function.node_def}
    assert "MatMul" in ops
    assert not {op for op in ops if ">" in op}  # ops of extensions have a name space
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))[:5]
    inputs = requests(made.dataset, positions) | dict.fromkeys(
        ("exclude_item_id", "allow_item_id"), nothing(5)
    )
    np.savez(made.folder / "inputs.npz", **inputs)
    code = (
        "import sys, numpy as np, tensorflow as tf; "
        "m = tf.saved_model.load(sys.argv[1]); x = np.load(sys.argv[2], allow_pickle=True); "
        "out = m.signatures['recommend'](**{k: tf.constant(v) for k, v in x.items()}); "
        "print(out['item_id'].numpy().tolist()); assert not {'tfrec', 'scann'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(made.folder / "inputs.npz")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.strip() == str(ask(exact, "recommend", inputs)["item_id"].tolist())


def test_left_out_ids_are_not_answered(made: Made, exact: Any) -> None:
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))
    inputs = requests(made.dataset, positions)
    before = ask(exact, "recommend", inputs, exclude_item_id=nothing(len(positions)))["item_id"]
    out = before[:, [0, 3]]
    after = ask(exact, "recommend", inputs, exclude_item_id=out)["item_id"]
    np.testing.assert_array_equal(after[:, :10], np.delete(before, [0, 3], axis=1))
    strange = np.full((len(positions), 1), 123456789)
    np.testing.assert_array_equal(ask(exact, "recommend", inputs, exclude_item_id=strange)["item_id"], before)


@pytest.mark.parametrize("leave_out", ["sequence", "session"])
def test_what_was_had_can_be_left_out(made: Made, leave_out: str) -> None:
    servable = made.export(leave_out, leave_out=leave_out)
    s = made.dataset.sequences
    positions = np.flatnonzero(s.is_role("test"))
    found = ask(
        servable, "recommend", requests(made.dataset, positions), exclude_item_id=nothing(len(positions))
    )
    for position, items in zip(positions, made.dataset.items.rows(found["item_id"]), strict=True):
        begin = s.offsets[s.user_of_event[position]]
        had = np.arange(begin, position)
        if leave_out == "session":
            had = had[s.session[had] == s.session[position]]
        assert not set(items.tolist()) & set(s.item[had].tolist())


def test_what_was_exported_and_loaded_is_let_go_of(made: Made) -> None:
    """One process may train, export and load as many models as it likes."""

    def graphs() -> int:
        gc.collect()
        return sum(isinstance(one, FuncGraph) for one in gc.get_objects())

    before = graphs()
    loaded = made.export("let_go_of")
    assert graphs() > before
    del loaded
    assert graphs() == before


def test_unknown_items_and_empty_histories(made: Made, exact: Any) -> None:
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))[:3]
    inputs = requests(made.dataset, positions)
    inputs["item_id"][0, :] = 999_999
    inputs["length"][1] = 0
    found = ask(exact, "recommend", inputs, exclude_item_id=nothing(3))
    assert np.isfinite(found["score"]).all()
    assert set(found["item_id"].ravel().tolist()) <= set(made.dataset.items.values.tolist())


def test_the_only_type_of_event_may_be_left_out(made: Made, exact: Any) -> None:
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))
    inputs, none = requests(made.dataset, positions), nothing(len(positions))
    said, unknown, left_out = (
        ask(
            exact,
            "recommend",
            inputs | {"event_type": np.full(inputs["event_type"].shape, name, object)},
            exclude_item_id=none,
        )
        for name in ("event", "odd", "")
    )
    np.testing.assert_array_equal(left_out["score"], said["score"])
    assert not np.array_equal(unknown["score"], said["score"])


def test_only_the_newest_events_count(made: Made, exact: Any) -> None:
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))[:4]
    inputs = requests(made.dataset, positions, 60)
    full = {k: np.concatenate([v] * 4, axis=1) if v.ndim == 2 else v for k, v in inputs.items()}
    full["length"] = np.full(4, 200, np.int32)
    cut = {k: v[:, 160:200] if v.ndim == 2 else v for k, v in full.items()} | {
        "length": np.full(4, 40, np.int32)
    }
    whole = ask(exact, "recommend", full, exclude_item_id=nothing(4))
    np.testing.assert_array_equal(
        whole["item_id"], ask(exact, "recommend", cut, exclude_item_id=nothing(4))["item_id"]
    )


def test_rank_and_encode_agree_with_recommend(made: Made, exact: Any) -> None:
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))
    inputs = requests(made.dataset, positions)
    answers = ask(exact, "recommend", inputs, exclude_item_id=nothing(len(positions)))
    everything = np.tile(made.dataset.items.values, (len(positions), 1))
    ranked = ask(exact, "rank", inputs, candidate_item_id=everything)["next_item"]
    np.testing.assert_allclose(ranked.sum(axis=1), 1, rtol=1e-4)
    best = np.take_along_axis(everything, np.argsort(-ranked, axis=1, kind="stable"), axis=1)[:, :K]
    assert (best == answers["item_id"]).mean() > 0.99  # ties aside
    encoded = ask(exact, "encode", inputs)
    assert encoded["query_embedding"].shape == (len(positions), 9)
    # A server that joins requests of many lengths cuts no output of a width of its own.
    assert exact.signatures["encode"].structured_outputs["rule_item_id"].shape[1] == 6
    assert exact.signatures["encode"].structured_outputs["own_item_id"].shape[1] is None
    assert encoded["own_item_id"].shape == inputs["item_id"].shape
    assert np.isfinite(encoded["rule_score"]).any()
    second = {
        name: np.concatenate([encoded[f"own_{name}"], encoded[f"rule_{name}"]], axis=1)
        for name in ("item_id", "score")
    }
    for q in range(len(positions)):
        own = {
            int(i): float(v)
            for i, v in zip(second["item_id"][q], second["score"][q], strict=True)
            if np.isfinite(v)
        }
        for item, score in zip(answers["item_id"][q].tolist(), answers["score"][q], strict=True):
            if item in own:
                assert own[item] == pytest.approx(float(score), abs=1e-4)


def test_version_folder(made: Made, exact: Any, tmp_path: Path) -> None:
    folder = made.folder / "exact" / "1"
    info = ServableInfo.load(folder)
    assert (info.name, info.version, info.k, info.items) == ("exact", 1, K, len(made.dataset.catalogue))
    assert info.context == {"device": "categorical", "dwell": "numeric"}
    assert (folder / "assets" / "schema.json").is_file()
    from tensorflow_serving.apis import prediction_log_pb2

    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    records = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    names = set()
    for record in records:
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        tensors = {name: tf.constant(tf.make_ndarray(p)) for name, p in request.inputs.items()}
        exact.signatures[request.model_spec.signature_name](**tensors)
        names.add(request.model_spec.signature_name)
    assert names == {"serving_default", "recommend", "encode", "rank"}
    assert newest_version(made.folder / "exact") == 1
    assert newest_version(tmp_path / "new") == 0


def test_times_inside_unordered_sessions_say_nothing(
    rich_dataset: Callable[..., Dataset], tmp_path: Path
) -> None:
    dataset = rich_dataset(ordered_sessions=False, session_from="id")
    servable = Made(dataset, tmp_path).export("baskets")
    positions = np.flatnonzero(dataset.sequences.is_role("test"))
    inputs = requests(dataset, positions)
    width = inputs["item_id"].shape[1]
    # Three sessions of known times; the request belongs to the last one.
    inputs["session_id"] = np.tile(np.arange(width) // 5, (len(positions), 1))
    inputs["time"] = 1_500_000_000 + inputs["session_id"] * 90_000
    last = np.maximum(inputs["length"] - 1, 0)
    inputs["request_session_id"] = np.take_along_axis(inputs["session_id"], last[:, None], axis=1)[:, 0]
    inputs["request_time"] = np.take_along_axis(inputs["time"], last[:, None], axis=1)[:, 0]
    padding = np.arange(width) >= inputs["length"][:, None]
    later = dict(inputs)
    later["time"] = inputs["time"] + 7 * (np.arange(width) % 5)
    later["time"][padding] = 9
    later["request_time"] = inputs["request_time"] + 60
    answers = [
        ask(servable, "recommend", asked, exclude_item_id=nothing(len(positions)))
        for asked in (inputs, later)
    ]
    np.testing.assert_array_equal(answers[0]["item_id"], answers[1]["item_id"])
    np.testing.assert_array_equal(answers[0]["score"], answers[1]["score"])


def test_scann_refuses_a_tiny_catalogue(made: Made) -> None:
    with pytest.raises(SettingsError, match="ScaNN needs at least 16 items, and 3 can be answered"):
        scann_index(tf.zeros([5, 9]), retrieve=3)


def test_small_catalogues_fill_answers_with_no_item(made: Made, exact: Any) -> None:
    positions = np.flatnonzero(made.dataset.sequences.is_role("test"))[:2]
    most = np.tile(made.dataset.items.values[:-3], (2, 1))
    found = ask(exact, "recommend", requests(made.dataset, positions), exclude_item_id=most)
    assert (found["item_id"][:, 3:] == no_item("int64")).all()
    assert np.isneginf(found["score"][:, 3:]).all()
    assert set(found["item_id"][:, :3].ravel().tolist()) == set(made.dataset.items.values[-3:].tolist())
    assert isinstance(TrainedModel.load(made.folder / "model").training["history"], list)
