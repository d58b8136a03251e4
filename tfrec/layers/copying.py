"""Copy scores: what people come back to.

P(y) ∝ exp(q·e_y + b_y) + Σ_s exp(r_s)·[x_s = y], the sum over the sequence's events s. The idea
of one normaliser for a vocabulary and for the input's own words is that of copying mechanisms in
text generation (Gu et al. 2016, CopyNet); repeats of an item add up to frequencies by themselves.
"""

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.attention import MASKED
from tfrec.layers.recurrence import Recurrence
from tfrec.layers.relations import Relations
from tfrec.layers.terms import GAP_FEATURES, gap_features
from tfrec.lookup import looked_up
from tfrec.rows_apart import item_weight
from tfrec.schema import FIRST_ROW
from tfrec.spec import ModelSpec


@keras.saving.register_keras_serializable("tfrec")
class CopyScores(keras.layers.Layer):
    """r: [B, P, P] float32, the score of request t for copying event s; MASKED where it may not.

    r_ts = (A h_t)·(B h_s) / √D + p[x_s] + pairwise terms + g(h_s)·gap_ts + c, with p the learned
    propensity of an item to be repeated, and g(h_s) a curve over the gap in time for each event:
    milk is bought again after a week, batteries after months. Where the item came again between s
    and t, older(h_s) is added: a sum of exponentials alone would have each past purchase ask for the
    next one, however lately it was made. An event may be copied when the
    request may have its item: of earlier sessions only, where the log never repeats an item within
    one.

    Args:
        spec: the model's.
    """

    def __init__(self, spec: ModelSpec | dict[str, Any], **kwargs: Any) -> None:
        # Gaps in time are float32 whatever the policy: bfloat16 does not know one day from the next.
        super().__init__(**kwargs, autocast=False)
        self.spec = ModelSpec.model_validate(spec)
        dimensions = self.spec.settings.dimensions
        self.query, self.key = (
            keras.layers.Dense(dimensions, use_bias=False, name=name, dtype=self.dtype_policy)
            for name in ("query", "key")
        )

        self.curve = None
        if self.spec.settings.copy_curves and self.spec.pairs("time"):
            self.curve = keras.layers.Dense(
                GAP_FEATURES,
                use_bias=False,
                kernel_initializer="zeros",
                name="curve",
                dtype=self.dtype_policy,
            )

        self.older = None
        if self.spec.settings.copy_newest:
            self.older = keras.layers.Dense(
                1, kernel_initializer="zeros", name="older", dtype=self.dtype_policy
            )

    def build(self, input_shape: Any = None) -> None:
        for layer in (self.query, self.key, self.curve, self.older):
            if layer is not None:
                layer.build((None, None, self.spec.settings.dimensions))
        self.propensity = item_weight(self, "propensity", (self.spec.items,), "zeros", dtype="float32")
        self.constant = self.add_weight(name="constant", shape=(), initializer="zeros")

    def call(
        self,
        state: tf.Tensor,
        events: tf.Tensor,
        item: tf.Tensor,
        related: Relations,
        terms: tf.Tensor | None,
        recurring: Recurrence | None,
    ) -> tf.Tensor:
        """Scores `events` [B, P, D] of `item` [B, P] for the requests of `state` [B, P, D], or [B, Q, D]."""
        scores = tf.matmul(self.query(state), self.key(events), transpose_b=True)
        scores = tf.cast(scores, tf.float32) * self.spec.settings.dimensions**-0.5
        scores += tf.cast(looked_up(self.propensity, item) + self.constant, tf.float32)[:, None, :]
        if terms is not None:
            scores += tf.cast(terms, tf.float32)
        if self.curve is not None:
            heights = tf.cast(self.curve(events), tf.float32)
            planes = gap_features(related.distances.minutes)
            scores += tf.add_n([plane * heights[:, None, :, k] for k, plane in enumerate(planes)])
        if self.older is not None and recurring is not None:
            change = tf.transpose(tf.cast(self.older(events), tf.float32), [0, 2, 1])
            scores += tf.where(recurring.again, change, 0.0)
        allowed = related.visible & (item >= FIRST_ROW)[:, None, :]
        if self.spec.repeats == "across_sessions":
            allowed &= ~related.in_session
        return tf.where(allowed, scores, MASKED)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"spec": self.spec.model_dump()}
