"""Servables without training: plain modules of TensorFlow that keep the contract of `tfrec.servable`.

The benchmarks and tests of serving need versions that can be told apart, and a model of a given size,
before anything has been trained.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfrec.folders import whole_folder
from tfrec.schema import IdType
from tfrec.servable import DEFAULT_SIGNATURE, INFO_FILE, SIGNATURES, WARMUP_FILE, ServableInfo, no_item

VERSION_SCORE = 1000.0
"""Scores of version v lie around v * VERSION_SCORE, so that an answer shows which version gave it."""

Tensors = dict[str, tf.Tensor]


class CatalogueModule(tf.Module):
    """The three signatures over a table of N items; subclasses say how a sequence becomes a query.

    Args:
        ids: the raw ids of the items, integers or strings.
        table: [N, D+1] embeddings with the bias as the last dimension.
        version: what the scores show.
        max_length: how many events count.
        k: items in an answer.
        session_ids: whether requests carry session ids, as strings.
        context: kind of each context column.
    """

    def __init__(
        self,
        ids: Sequence[int] | Sequence[str],
        table: np.ndarray,
        *,
        version: int,
        max_length: int,
        k: int,
        session_ids: bool = False,
        context: dict[str, Literal["categorical", "numeric"]] | None = None,
    ) -> None:
        super().__init__()
        self.id_type: IdType = "string" if isinstance(ids[0], str) else "int64"
        dtype = tf.string if self.id_type == "string" else tf.int64
        shifted = np.array(table, np.float32)
        shifted[:, -1] += version * VERSION_SCORE
        self.ids = tf.constant(ids, dtype)
        self.table = tf.Variable(shifted)
        places = tf.range(len(ids), dtype=tf.int64)
        self.rows = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(self.ids, places), -1)
        self.version, self.max_length, self.k = version, max_length, k
        self.session_ids, self.context = session_ids, context or {}

    def query(self, inputs: Tensors) -> tf.Tensor:
        """[B, D+1], whose last dimension is 1."""
        raise NotImplementedError

    def counted(self, inputs: Tensors) -> tf.Tensor:
        """[B, L] bool: the newest `max_length` events of each row."""
        length = inputs["length"][:, None]
        places = tf.range(tf.shape(inputs["item_id"])[1])[None]
        return (places < length) & (places >= length - self.max_length)

    def recommend(self, inputs: Tensors) -> Tensors:
        """The K best items that are not left out."""
        scores = tf.matmul(self.query(inputs), self.table, transpose_b=True)
        excluded = self.rows.lookup(inputs["exclude_item_id"])
        places = tf.range(len(self.ids), dtype=tf.int64)
        left_out = tf.reduce_any(excluded[:, :, None] == places, axis=1)
        allowed = self.rows.lookup(inputs["allow_item_id"])
        listed = tf.reduce_any(allowed[:, :, None] == places, axis=1)
        listed |= tf.reduce_all(allowed < 0, axis=1, keepdims=True)
        scores = tf.where(left_out | ~listed, float("-inf"), scores)
        best, places = tf.math.top_k(scores, k=min(self.k, len(self.ids)))
        best = tf.pad(best, [[0, 0], [0, self.k - best.shape[1]]], constant_values=float("-inf"))
        places = tf.pad(places, [[0, 0], [0, self.k - places.shape[1]]])
        padding = tf.constant(no_item(self.id_type), self.ids.dtype)
        return {
            "item_id": tf.where(best > float("-inf"), tf.gather(self.ids, places), padding),
            "score": best,
        }

    def encode(self, inputs: Tensors) -> Tensors:
        """The query, and the sequence's own items with the query's scores for them."""
        query = self.query(inputs)
        rows = self.rows.lookup(inputs["item_id"])
        embeddings = tf.gather(self.table, tf.maximum(rows, 0))
        scores = tf.einsum("bld,bd->bl", embeddings, query)
        known = self.counted(inputs) & (rows >= 0)
        return {
            "query_embedding": query,
            "own_item_id": tf.identity(inputs["item_id"]),
            "own_score": tf.where(known, scores, float("-inf")),
        }

    def rank(self, inputs: Tensors) -> Tensors:
        """The probability of each candidate; 0 for unknown ones."""
        scores = tf.matmul(self.query(inputs), self.table, transpose_b=True)
        rows = self.rows.lookup(inputs["candidate_item_id"])
        chances = tf.gather(tf.nn.softmax(scores), tf.maximum(rows, 0), batch_dims=1)
        chances = tf.where(rows >= 0, chances, 0.0)
        return {"next_item": chances, "score": tf.math.log(chances)}

    def specs(self, signature: str) -> dict[str, tf.TensorSpec]:
        """The inputs of a signature, as `tfrec.servable` lists them."""
        ids = self.ids.dtype
        wide = {"item_id": ids, "event_type": tf.string, "time": tf.int64}
        flat = {"length": tf.int32, "request_time": tf.int64}
        if self.session_ids:
            wide["session_id"], flat["request_session_id"] = tf.string, tf.string
        for name, kind in self.context.items():
            wide[f"context.{name}"] = tf.string if kind == "categorical" else tf.float32
        if signature in ("recommend", DEFAULT_SIGNATURE):
            wide["exclude_item_id"] = wide["allow_item_id"] = ids
        elif signature == "rank":
            wide["candidate_item_id"] = ids
        return {
            **{name: tf.TensorSpec([None, None], dtype, name) for name, dtype in wide.items()},
            **{name: tf.TensorSpec([None], dtype, name) for name, dtype in flat.items()},
        }

    def info(self, name: str) -> ServableInfo:
        """What stands among the assets."""
        return ServableInfo(
            name=name,
            version=self.version,
            retrieval="exact",
            user_id_type="int64",
            item_id_type=self.id_type,
            session_from="id" if self.session_ids else "gap",
            session_gap_s=1800,
            session_id_type="string",
            has_clock=True,
            event_types=("view", "purchase"),
            context=self.context,
            max_length=self.max_length,
            k=self.k,
            items=len(self.ids),
        )


def save_version(module: CatalogueModule, folder: Path) -> Path:
    """Writes `folder/<version>/`, the folder's name being the model's, by one rename."""
    target = folder / str(module.version)
    functions = {}
    for name in SIGNATURES:
        # Under a name for each input, which a plain dictionary keeps (`context.NAME` is no Python name).
        function = tf.function(getattr(module, name), input_signature=[module.specs(name)])
        functions[name] = function.get_concrete_function()
    with whole_folder(target) as partial:
        signatures = {**functions, DEFAULT_SIGNATURE: functions["recommend"]}
        tf.saved_model.save(module, str(partial), signatures=signatures)
        (partial / "assets").mkdir(exist_ok=True)
        info = module.info(folder.name).model_dump_json(indent=2)
        (partial / "assets" / INFO_FILE).write_text(info, encoding="utf-8")
        (partial / "assets.extra").mkdir()
        with tf.io.TFRecordWriter(str(partial / "assets.extra" / WARMUP_FILE)) as writer:
            for name in SIGNATURES:
                writer.write(_warm_up_record(module, folder.name, name).SerializeToString())
    return target


def _warm_up_record(module: CatalogueModule, model: str, signature: str) -> Any:
    """A request of one user with one event, for a signature."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, spec in module.specs(signature).items():
        if name.endswith("item_id"):
            value = module.ids[:1]
        else:
            value = tf.constant([b""]) if spec.dtype == tf.string else tf.ones([1], spec.dtype)
        value = value[None] if spec.shape.rank == 2 else value
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value.numpy(), spec.dtype, value.shape))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
