"""The item embedding that both towers share."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.int8 import Int8Table
from tfrec.layers import id_tables
from tfrec.lookup import looked_up
from tfrec.rows_apart import item_weight
from tfrec.schema import PADDING_ROW
from tfrec.spec import ModelSpec


@keras.saving.register_keras_serializable("tfrec")
class ItemEmbedding(keras.layers.Layer):
    """e_y: an embedding of the id plus, for each feature, the mean embedding of its values.

    A numeric feature adds its standardised value times a learned vector. The features' values
    are weights that are not trained, so that a saved model carries its catalogue. With
    `id_dropout`, training meets a share of the items without their id, so that features learn to
    stand for items that nobody has seen.

    Args:
        spec: the model's.

    Input: rows [...] int32. Output: [..., D] float32.
    """

    def __init__(self, spec: ModelSpec | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = ModelSpec.model_validate(spec)
        share = self.spec.settings.id_dropout
        self.drop = keras.layers.Dropout(share, dtype=self.dtype_policy) if share else None

    def build(self, input_shape: Any = None) -> None:
        dimensions = self.spec.settings.dimensions
        init = keras.initializers.RandomNormal(stddev=0.05)
        rows = id_tables.sizes(self.spec)
        self.table = item_weight(self, "table", (rows.table, dimensions), init)
        self.quotient = None
        if rows.quotient:
            # Near 1: items that share a row begin alike, and learn what tells them apart.
            near = keras.initializers.RandomNormal(mean=1.0, stddev=0.05)
            self.quotient = self.add_weight(
                name="quotient", shape=(rows.quotient, dimensions), initializer=near
            )
        self.values: list[Any] = []
        self.feature_tables: list[Any] = []
        for feature, width in zip(self.spec.features, self.spec.feature_widths, strict=True):
            numeric = feature.kind == "numeric"
            self.values.append(
                self.add_weight(
                    name=f"values_{feature.name}",
                    shape=(self.spec.items, width),
                    dtype="float32" if numeric else "int32",
                    initializer="zeros",
                    trainable=False,
                )
            )
            size = 1 if numeric else feature.size
            self.feature_tables.append(
                self.add_weight(name=f"table_{feature.name}", shape=(size, dimensions), initializer=init)
            )

    def set_features(self, values: list[np.ndarray]) -> None:
        """Sets each feature's values: [items, width], rows of its vocabulary or numbers."""
        for weight, value in zip(self.values, values, strict=True):
            weight.assign(value)

    def call(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        embedding = self.of_ids(rows)
        if training and self.drop is not None:
            kept = self.drop(tf.ones_like(rows, embedding.dtype), training=True)
            embedding *= tf.cast(kept > 0, embedding.dtype)[..., None]
        return self.with_features(embedding, [tf.gather(values, rows) for values in self.values])

    def of_ids(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns what the ids alone say: [..., D] of rows [...] int32."""
        return id_tables.embedding_of(self.spec, rows, self.table, self.quotient)

    def with_features(self, embedding: tf.Tensor, values: list[tf.Tensor]) -> tf.Tensor:
        """Returns embeddings of ids [..., D] with those of the features' values, [..., width] each."""
        for feature, value, table in zip(self.spec.features, values, self.feature_tables, strict=True):
            if feature.kind == "numeric":
                embedding += value * tf.cast(table, value.dtype)
                continue
            given = tf.cast(tf.not_equal(value, PADDING_ROW), embedding.dtype)[..., None]
            total = tf.reduce_sum(looked_up(table, value) * given, axis=-2)
            embedding += total / tf.maximum(tf.reduce_sum(given, axis=-2), 1.0)
        return embedding

    def to_int8(self) -> None:
        """Keeps the tables in a byte a number, for good: nothing can be learned from then on."""
        dtype = self.compute_dtype
        self.table = Int8Table(self.table, dtype)
        if self.quotient is not None:
            self.quotient = Int8Table(self.quotient, dtype)
        for place, feature in enumerate(self.spec.features):
            if feature.kind != "numeric":
                self.feature_tables[place] = Int8Table(self.feature_tables[place], dtype)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"spec": self.spec.model_dump()}
