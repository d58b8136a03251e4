from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.same_signatures import same_signatures
from serving.session import GraphSession

VECTOR = tf.TensorSpec([None], tf.float32)


class Sums(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = tf.Variable(1.0), tf.Variable(10.0)

    @tf.function(input_signature=[VECTOR, VECTOR])
    def near(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": a - b + self.one, "a": a}

    @tf.function(input_signature=[VECTOR, VECTOR])
    def far(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": a - b + self.other, "a": a}


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Any]:
    sums = Sums()
    signatures = {"near": sums.near, "serving_default": sums.near, "far": sums.far}
    tf.saved_model.save(sums, str(tmp_path), signatures)
    read = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    return tmp_path, read.meta_graphs[0]


NAMES = ("near", "serving_default", "far")


def test_a_name_more_is_found(saved: tuple[Path, Any]) -> None:
    found = same_signatures(saved[1], NAMES)
    assert found == {"far": "far", "near": "near", "serving_default": "near"}


def test_each_name_is_answered(saved: tuple[Path, Any]) -> None:
    folder, graph = saved
    session = GraphSession(folder, graph.signature_def, same_signatures(graph, NAMES))
    inputs = {"a": np.array([5.0], np.float32), "b": np.array([2.0], np.float32)}
    found = {name: session.run(name, inputs)["sum"].tolist() for name in NAMES}
    assert found == {"near": [4], "serving_default": [4], "far": [13]}
    session.close()


@pytest.mark.parametrize("what", ["inputs", "outputs"])
def test_other_names_of_tensors_are_other_work(saved: tuple[Path, Any], what: str) -> None:
    graph = saved[1]
    tensors = getattr(graph.signature_def["serving_default"], what)
    one, other = ("a", "b") if what == "inputs" else ("a", "sum")
    first, second = tensors[one].name, tensors[other].name
    tensors[one].name, tensors[other].name = second, first
    assert same_signatures(graph, NAMES)["serving_default"] == "serving_default"


def test_what_is_no_single_call_stays_itself(saved: tuple[Path, Any]) -> None:
    graph = saved[1]
    for name in ("near", "serving_default"):
        graph.signature_def[name].outputs["sum"].name = "elsewhere:0"
    assert same_signatures(graph, NAMES) == {name: name for name in NAMES}
