"""Rule scores: what followed the newest events' items in other people's sessions.

P(y) ∝ exp(q·e_y + b_y) + Σ_s exp(r_s)·[x_s = y] + Σ_n exp(u_n)·w(x_n → y)^α / (w(x_n)^β w(y)^γ), the
last sum over the newest events n of the sequence, w the weights of sequential rules (`tfrec.rules`)
and u_n learned as copy scores are. It is a memory of single co-occurrences beside what D dimensions
can hold. The exponents are learned: 1, 1, 0 are conditional probabilities, 1, ½, ½ cosines.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfrec.layers.attention import MASKED
from tfrec.layers.relations import Distances, Tensors, of_asked, places_before
from tfrec.layers.terms import PairwiseTerms
from tfrec.rules import Rules
from tfrec.spec import ModelSpec

LEAST_WEIGHT = 1e-3


class RuleWeights(NamedTuple):
    """How much the rules of the newest events count.

    Attributes:
        item: [..., E] int32, the newest events' items, the newest first; 0 where there are fewer.
        score: [..., E] float32, u; MASKED where there are fewer.
    """

    item: tf.Tensor
    score: tf.Tensor


@keras.saving.register_keras_serializable("tfrec")
class RuleScores(keras.layers.Layer):
    """Scores the items to which the rules of a request's newest events lead.

    A user's own events are among those that the rules were counted from; so that training does not
    trust rules that know their answer, it reads them from `folds`: rules counted without the users
    of the fold that a sequence belongs to.

    Args:
        spec: the model's.
    """

    def __init__(self, spec: ModelSpec | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = ModelSpec.model_validate(spec)
        dimensions = self.spec.settings.dimensions

        self.query = keras.layers.Dense(dimensions, use_bias=False, name="query", dtype=self.dtype_policy)
        self.key = keras.layers.Dense(dimensions, name="key", dtype=self.dtype_policy)
        self.terms = PairwiseTerms(self.spec, 1, name="terms", dtype="float32")
        # A list, so that Keras does not take the tables of the training for a part of the model.
        self.folds: list[tuple[tf.Variable, ...]] = []

    def build(self, input_shape: Any = None) -> None:
        s, items = self.spec.settings, self.spec.items
        for layer in (self.query, self.key):
            layer.build((None, None, s.dimensions))
        self.terms.build()
        # The catalogue's exp(s_y) begin near 1 each, their sum near its size: rules begin with e^-2 of it.
        start = keras.initializers.Constant(float(np.log(items)) - 2.0)
        self.place = self.add_weight(name="place", shape=(s.rule_events,), initializer=start)
        self.exponent = self.add_weight(name="exponent", shape=(2,), initializer="ones")
        self.popularity = self.add_weight(name="popularity", shape=(), initializer="zeros")

        def fact(name: str, shape: tuple[int, ...], dtype: str) -> Any:
            return self.add_weight(name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False)

        self.item = fact("item", (items, s.rules), "int32")
        self.weight = fact("weight", (items, s.rules), "float32")
        self.total = fact("total", (items,), "float32")

    def set_rules(self, rules: Rules, folds: Rules) -> None:
        """Sets the rules that were counted: of all users [N, M], and of all but each fold's [F, N, M]."""
        for variable, value in zip((self.item, self.weight, self.total), rules, strict=True):
            variable.assign(value)
        self.folds[:] = [tuple(tf.Variable(value, trainable=False) for value in folds)]

    def call(
        self, state: tf.Tensor, events: tf.Tensor, batch: Tensors, training: bool | None = None
    ) -> RuleWeights:
        """Weighs the newest of `events` [B, P, D] for the requests of `state` [B, P, D], or [B, Q, D]."""
        count = self.spec.settings.rule_events
        query, key = self.query(state), self.key(events)
        # One event at a time: no [B, P, E, D] is ever laid out.
        dots = [tf.reduce_sum(query * of_asked(_back(key, n), batch), axis=-1) for n in range(count)]
        score = tf.cast(tf.stack(dots, axis=-1), tf.float32) * self.spec.settings.dimensions**-0.5

        def band(name: str) -> tf.Tensor:
            return of_asked(places_before(batch[name], count), batch)

        def asking(name: str) -> tf.Tensor:
            return of_asked(batch[name], batch)[..., None]

        segment = band("segment")
        here = (segment == asking("segment")) & (segment > 0)
        minutes = None
        if self.spec.pairs("time"):
            gap = asking("request_time") - band("time")
            minutes = tf.cast(tf.maximum(gap, 0), tf.float32) / 60.0
        distances = Distances(
            tf.maximum(asking("request_session") - band("session"), 0),
            minutes,
            tf.range(count)[None] if self.spec.pairs("places") else None,
        )
        score += self.terms(distances, training=training)[0] + tf.cast(self.place, tf.float32)
        return RuleWeights(
            item=tf.where(here, band("item"), 0),
            score=tf.where(here, score, MASKED),
        )

    def candidates(self, weights: RuleWeights, fold: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the items [..., E M] that the rules lead to and their scores, MASKED for none.

        Args:
            weights: of any number of requests.
            fold: [...] int32, in training, whose users the rules must not know.
        """
        tables = tuple(tf.convert_to_tensor(x) for x in (self.item, self.weight, self.total))
        first = tf.zeros_like(weights.item)
        if fold is not None:
            tables = tuple(tf.reshape(x, [-1, *x.shape[2:]]) for x in self.folds[0])
            first += fold[..., None] * self.spec.items
        item, weight, total = (tf.gather(x, first + weights.item) for x in tables)
        alpha, beta = tf.unstack(tf.cast(self.exponent, tf.float32))
        weight = tf.cast(weight, tf.float32)  # which may be kept in half precision
        score = alpha * _log(weight) + (weights.score - beta * _log(total))[..., None]
        score -= tf.cast(self.popularity, tf.float32) * _log(tf.gather(tables[2], first[..., None] + item))
        if fold is None:
            score += self.spec.settings.rule_boost
        score = tf.where(weight > 0, score, MASKED)
        shape = tf.concat([tf.shape(weights.item)[:-1], [item.shape[-1] * item.shape[-2]]], axis=0)
        return tf.reshape(item, shape), tf.reshape(score, shape)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"spec": self.spec.model_dump(mode="json")}


def _log(weight: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.maximum(weight, LEAST_WEIGHT))


def _back(x: tf.Tensor, places: int) -> tf.Tensor:
    """[B, P, ...] moved so that each place has what stood `places` before it; zeros at the front."""
    if not places:
        return x
    shape = [[0, 0], [places, 0], *[[0, 0]] * (len(x.shape) - 2)]
    return tf.pad(x, shape)[:, : tf.shape(x)[1]]
