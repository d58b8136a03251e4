"""Exact search over the candidates; `tfrec.coarse_index` has others behind the same interface.

An index answers queries (q, 1) with the rows of the catalogue that score best, after the
sequence's own items, and those that rules lead to, have been scored a second way:

    score(y) = log(exp(q·e_y + b_y) + Σ_s exp(r_s)[x_s = y])
"""

import numpy as np
import tensorflow as tf

from tfrec.int8 import Int8Candidates
from tfrec.layers.attention import MASKED
from tfrec.losses import log_add_exp
from tfrec.rescoring import Candidates, embeddings_of, matching_scores, product
from tfrec.schema import FIRST_ROW, PADDING_ROW

BLOCK = 128
"""Columns whose maximum stands for them while the best are looked for."""
MANY = 4
"""Times as many columns as are looked at one by one, for it to pay."""


class ExactIndex(tf.Module):
    """Matrix product and top-k over all candidates; stock TensorFlow ops alone.

    Args:
        candidates: [items, D + 1] of all rows, padding and unknown included, in float32 or bytes; a variable
            is shared, not copied, and may be of half precision where only `score` is asked.
    """

    def __init__(self, candidates: Candidates) -> None:
        super().__init__(name="exact_index")
        shared = isinstance(candidates, tf.Variable | Int8Candidates)
        self.candidates = (
            candidates if shared else tf.Variable(candidates, trainable=False, name="candidates")
        )

    def answer(
        self,
        query: tf.Tensor,
        second_item: tf.Tensor,
        second_score: tf.Tensor | None,
        barred: tf.Tensor,
        k: int,
        allowed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best rows [Q, k] int32 and their scores [Q, k] float32.

        Places beyond the items that may be answered hold PADDING_ROW and -inf.

        Args:
            query: [Q, D + 1] float32.
            second_item: [Q, S] int32, the rows x that are scored a second way.
            second_score: [Q, S] float32, r, MASKED where there is none; None: none anywhere.
            barred: [Q, M] int32, rows that must not be answered; PADDING_ROW for none.
            k: how many.
            allowed: [Q, A] int32, the only rows that may be answered; PADDING_ROW for none, and of a query
                that has no other: all may. None: all.
        """
        scores = product(query, self.candidates)
        if second_score is not None:
            at = _with_query(second_item)
            found = _totals(second_item, second_score, tf.shape(scores))
            scores = tf.tensor_scatter_nd_update(scores, at, log_add_exp(tf.gather_nd(scores, at), found))
        worst = tf.fill(tf.shape(barred), -np.inf)
        scores = tf.tensor_scatter_nd_update(scores, _with_query(barred), worst)
        if allowed is not None:
            scores = _only(scores, allowed)
        scores = tf.concat(
            [tf.fill([tf.shape(scores)[0], FIRST_ROW], -np.inf), scores[:, FIRST_ROW:]], axis=1
        )
        return best_of(scores, None, k)

    def score(
        self, query: tf.Tensor, second_item: tf.Tensor, second_score: tf.Tensor | None, candidate: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the scores [Q, C] of given candidates [Q, C], and [Q] the log of the normaliser.

        exp(score - normaliser) is the probability that the next event's item is the candidate.
        """
        scores = product(query, self.candidates)[:, FIRST_ROW:]
        normaliser = tf.reduce_logsumexp(scores, axis=-1)
        found = tf.einsum("qd,qcd->qc", query, embeddings_of(self.candidates, candidate))
        if second_score is not None:
            normaliser = log_add_exp(normaliser, tf.reduce_logsumexp(second_score, axis=-1))
            found = log_add_exp(found, matching_scores(candidate, second_item, second_score))
        return tf.where(candidate >= FIRST_ROW, found, -np.inf), normaliser


def _totals(second_item: tf.Tensor, second_score: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """log Σ over all places of an item, at each of them: [Q, S]; by sums over a [Q, items] table."""
    top = tf.maximum(tf.reduce_max(second_score, axis=-1, keepdims=True), MASKED / 2)
    at = _with_query(second_item)
    sums = tf.tensor_scatter_nd_add(tf.zeros(shape), at, tf.exp(second_score - top))
    return tf.math.log(tf.maximum(tf.gather_nd(sums, at), 1e-38)) + top


def _only(scores: tf.Tensor, allowed: tf.Tensor) -> tf.Tensor:
    """[Q, items] scores, -inf where a query allows others alone."""

    def masked() -> tf.Tensor:
        # As numbers: GPUs have no kernel that scatters booleans, and the mask would go through the CPU.
        listed = tf.tensor_scatter_nd_update(
            tf.zeros_like(scores), _with_query(allowed), tf.ones_like(allowed, scores.dtype)
        )
        return tf.where((listed > 0) | ~restricted(allowed), scores, -np.inf)

    # Most requests allow all, and the mask is as large as the scores.
    return tf.cond(tf.shape(allowed)[1] > 0, masked, lambda: scores)


def restricted(allowed: tf.Tensor) -> tf.Tensor:
    """[Q, 1] bool: which queries allow some items alone."""
    return tf.reduce_any(allowed != PADDING_ROW, axis=1, keepdims=True)


def _with_query(rows: tf.Tensor) -> tf.Tensor:
    """[Q, S] rows -> [Q, S, 2] places in a [Q, items] table."""
    queries = tf.range(tf.shape(rows)[0])
    return tf.stack([tf.broadcast_to(queries[:, None], tf.shape(rows)), rows], axis=-1)


def best_of(scores: tf.Tensor, rows: tf.Tensor | None, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The k best of [Q, C]; places without an answer are PADDING_ROW and -inf."""
    short = tf.maximum(k - tf.shape(scores)[1], 0)
    scores = tf.pad(scores, [[0, 0], [0, short]], constant_values=-np.inf)
    best, column = top_of(scores, k)
    found = column if rows is None else tf.gather(tf.pad(rows, [[0, 0], [0, short]]), column, batch_dims=1)
    return tf.where(tf.math.is_inf(best), PADDING_ROW, found), best


def top_of(scores: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `tf.math.top_k` of [Q, C], of many columns by way of the k blocks with the highest maxima.

    The k best lie in these, of equal scores those further left. Maxima are quickly found, and of them there
    are C / BLOCK to keep the k best of, instead of C.
    """
    width = scores.shape[1]
    if width is None or width < MANY * BLOCK * k:
        return tf.math.top_k(scores, k)
    scores = tf.pad(scores, [[0, 0], [0, -width % BLOCK]], constant_values=-np.inf)
    parts = tf.reshape(scores, [-1, scores.shape[1] // BLOCK, BLOCK])
    # In their order, so that of equal scores the first stays the first.
    chosen = tf.sort(tf.math.top_k(tf.reduce_max(parts, axis=2), k).indices, axis=1)
    near = tf.reshape(tf.gather(parts, chosen, batch_dims=1), [-1, k * BLOCK])
    best, place = tf.math.top_k(near, k)
    return best, tf.gather(chosen, place // BLOCK, batch_dims=1) * BLOCK + place % BLOCK
