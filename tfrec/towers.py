"""The two towers: a Transformer over sequences, and embeddings of candidates, in one space.

The space has D + 1 dimensions: the last one of a candidate is its bias b_y, of a query 1, so that
a dot product alone is q·e_y + b_y.
"""

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.blocks import BLOCKS
from tfrec.layers.copying import CopyScores
from tfrec.layers.embeddings import ItemEmbedding
from tfrec.layers.encodings import EventEncoding
from tfrec.layers.fusion import late_fusion
from tfrec.layers.history import without_history
from tfrec.layers.recurrence import recurrence
from tfrec.layers.relations import Relations, Tensors, of_asked, relations
from tfrec.layers.rules import RuleScores, RuleWeights
from tfrec.layers.terms import PairwiseTerms
from tfrec.lookup import looked_up
from tfrec.query import Encoded, Query
from tfrec.rows_apart import item_weight
from tfrec.spec import ModelSpec


@keras.saving.register_keras_serializable("tfrec")
class CandidateTower(keras.layers.Layer):
    """Rows of items [...] int32 -> [..., D + 1] float32: (e_y, b_y).

    Args:
        spec: the model's.
        embedding: the item embedding shared with the query tower.
    """

    def __init__(self, spec: ModelSpec, embedding: ItemEmbedding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.embedding = embedding

    def build(self, input_shape: Any = None) -> None:
        self.bias = item_weight(self, "bias", (self.spec.items,), "zeros", dtype="float32")

    def call(self, rows: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self._candidates(self.embedding(rows, training=training), looked_up(self.bias, rows))

    def _candidates(self, embedding: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        embedding = tf.cast(embedding, tf.float32)
        if self.spec.loss.normalise:
            embedding = tf.math.l2_normalize(embedding, axis=-1)
        return tf.concat([embedding, tf.cast(bias, tf.float32)[..., None]], axis=-1)

    def table(self) -> tf.Tensor:
        """Returns the candidates of all rows, padding and unknown included: [items, D + 1]."""
        return self(tf.range(self.spec.items))

    def new_items(self, values: list[tf.Tensor], like: tf.Tensor) -> tf.Tensor:
        """Returns candidates of items that training has not seen: [N, D + 1].

        Their features say where they lie; in place of an embedding of the id and of a bias they have the
        means of items that few had.

        Args:
            values: of each feature, [N, width], as `tfrec.features.feature_values` gives them.
            like: [M] int32, rows of items that few had.
        """
        count = tf.shape(values[0])[0]
        ids = tf.reduce_mean(self.embedding.of_ids(like), axis=0)
        bias = tf.reduce_mean(looked_up(self.bias, like))
        embedding = self.embedding.with_features(tf.repeat(ids[None], count, axis=0), values)
        return self._candidates(embedding, tf.fill([count], bias))


@keras.saving.register_keras_serializable("tfrec")
class QueryTower(keras.layers.Layer):
    """Packed rows of sequences -> a `Query` at every position, for the request that follows it.

    Args:
        spec: the model's.
        embedding: the item embedding shared with the candidate tower.

    Input: a dict of [B, P] tensors: `item`, `event_type`, `segment` (0: padding), `session`,
    `time`, `request_time`, `request_session`, `context.NAME`; int32, numeric context float32. With
    `asked` [B, Q] the queries of these places alone, which then stand in the place of P: what compares
    each place with each other is most of the work.
    """

    def __init__(self, spec: ModelSpec, embedding: ItemEmbedding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec
        self.embedding = embedding
        s, policy = spec.settings, self.dtype_policy
        self.encoding = EventEncoding(spec, name="encoding", dtype=policy)
        self.drop = keras.layers.Dropout(s.dropout, dtype=policy)
        self.blocks = [
            BLOCKS[s.block](
                s.dimensions, s.heads, s.feed_forward, s.dropout, s.rotary, name=f"block_{i}", dtype=policy
            )
            for i in range(s.blocks)
        ]
        self.fusion = late_fusion(s.fusion, s.dimensions, s.heads, dtype=policy)
        self.norm = keras.layers.RMSNormalization(name="norm", dtype=policy)
        # Queries begin as the states themselves, so that an event asks for items like its own: on small
        # logs that is most of what there is to learn.
        self.project = keras.layers.Dense(
            s.dimensions, use_bias=False, kernel_initializer="identity", name="project", dtype=policy
        )
        self.copying = CopyScores(spec, name="copying", dtype=policy) if spec.copies else None
        self.rules = RuleScores(spec, name="rules", dtype=policy) if s.rules else None
        self.terms = None
        if any(spec.pairs(name) for name in s.pairwise):
            outputs = s.blocks * s.heads + int(spec.copies)
            self.terms = PairwiseTerms(spec, outputs, name="terms", dtype="float32")

    def build(self, input_shape: Any = None) -> None:
        shape = (None, None, self.spec.settings.dimensions)
        for layer in (self.embedding, self.encoding, *self.blocks, self.norm, self.project):
            if not layer.built:
                layer.build(shape)
        if self.fusion is not None:
            self.fusion.build(shape)
        if self.copying is not None:
            self.copying.build(shape)
        if self.rules is not None:
            self.rules.build(shape)
        if self.terms is not None:
            self.terms.build()

    def call(self, batch: Tensors, training: bool | None = None, both_ways: bool = False) -> Query:
        """Returns the queries. With `both_ways`, in pretraining, places see later ones; nothing is copied."""
        if not self.spec.settings.history:
            batch = without_history(batch)
        related = relations(batch, self.spec, both_ways)
        asked = related.of(batch)
        recurring = recurrence(batch, related.visible) if self.spec.recurrence else None
        x = self.embedding(batch["item"], training=training) + self.encoding(batch, related, recurring)
        # Embeddings are small for the sake of the scores; what enters the blocks is of their own size.
        x *= self.spec.settings.dimensions**0.5
        x = self.drop(x, training=training)
        terms, copy_terms = self._terms(related, asked, training)
        events = self._encode(x, related.visible, terms, training)
        state = events
        if self.fusion is not None:
            history, current = self._apart(x, events, related, batch, terms, training)
            state = self.fusion(history, current, events, related.visible & ~related.in_session)
        state, events = self.norm(of_asked(state, batch)), self.norm(events)
        embedding = tf.cast(self.project(state), tf.float32)
        if self.spec.loss.normalise:
            embedding = tf.math.l2_normalize(embedding, axis=-1)
        embedding /= self.spec.loss.temperature
        one = tf.ones_like(embedding[..., :1])
        query = Query(tf.concat([embedding, one], axis=-1), None, None)
        if both_ways:
            return query
        if self.copying is not None:
            again = None if recurring is None else recurring.of(batch)
            scores = self.copying(state, events, batch["item"], asked, copy_terms, again)
            query = query._replace(copy_score=scores)
        if self.rules is not None:
            query = query._replace(rules=self.rules(state, events, batch, training=training))
        if self.spec.ranking.tasks:
            encoded = Encoded(state, events, asked.visible, batch["item"])
            query = query._replace(looked_at=encoded)
        return query

    def rule_candidates(
        self, weights: RuleWeights, fold: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As `RuleScores.candidates`."""
        assert self.rules is not None
        return self.rules.candidates(weights, fold)

    def _terms(
        self, related: Relations, asked: Relations, training: bool | None
    ) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """Returns the terms of the blocks' heads, [blocks H or more, B, P, P], and of copying, [B, Q, P]."""
        if self.terms is None:
            return None, None
        if asked is related:
            terms = self.terms(related.distances, training=training)
            return terms, terms[-1]
        heads = self.spec.settings.blocks * self.spec.settings.heads
        of_blocks = self.terms(related.distances, training=training, outputs=slice(heads))
        return of_blocks, self.terms(asked.distances, training=training, outputs=slice(-1, None))[0]

    def _encode(
        self, x: tf.Tensor, visible: tf.Tensor, terms: tf.Tensor | None, training: bool | None
    ) -> tf.Tensor:
        heads = self.spec.settings.heads
        for i, block in enumerate(self.blocks):
            of_block = None if terms is None else terms[i * heads : (i + 1) * heads]
            x = block(x, visible, of_block, training=training)
        return x

    def _apart(
        self,
        x: tf.Tensor,
        events: tf.Tensor,
        related: Relations,
        batch: Tensors,
        terms: tf.Tensor | None,
        training: bool | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns E_X of the history, encoded in `events`, and E_Y of the current session, encoded alone."""
        history = related.visible & ~related.in_session
        places = tf.range(tf.shape(x)[1])
        last = tf.reduce_max(tf.where(history, places[None, None, :], -1), axis=-1)
        had = tf.cast(last >= 0, x.dtype)[..., None]
        of_history = tf.gather(events, tf.maximum(last, 0), batch_dims=1) * had
        alone = self._encode(x, related.same_session, terms, training)
        opened = tf.cast(tf.equal(batch["request_session"], batch["session"]), x.dtype)[..., None]
        return of_history, alone * opened
