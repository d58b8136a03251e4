"""Scores of items that are scored a second way: the sequence's own, and those that rules lead to."""

from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tfrec.int8 import Int8Candidates
from tfrec.layers.attention import MASKED
from tfrec.lookup import looked_up
from tfrec.losses import log_add_exp
from tfrec.schema import FIRST_ROW

Candidates: TypeAlias = tf.Tensor | tf.Variable | Int8Candidates
"""[items, D + 1] of all rows, padding and unknown included."""


def rescored(
    candidates: Candidates,
    query: tf.Tensor,
    second_item: tf.Tensor,
    second_score: tf.Tensor | None,
    barred: tf.Tensor,
) -> tf.Tensor:
    """Returns the scores [Q, S] of items that are scored a second way, each at its first place; else -inf.

    Args: as `ExactIndex.answer`; barred items are -inf too.
    """
    scores = tf.einsum("qd,qcd->qc", query, embeddings_of(candidates, second_item))
    if second_score is not None:
        scores = log_add_exp(scores, matching_scores(second_item, second_item, second_score))
    wrong = first_seen_before(second_item) | (second_item < FIRST_ROW)
    wrong |= tf.reduce_any(tf.equal(second_item[:, :, None], barred[:, None, :]), axis=-1)
    return tf.where(wrong, -np.inf, scores)


def embeddings_of(candidates: Candidates, rows: tf.Tensor) -> tf.Tensor:
    """Returns the candidates at rows [Q, C] as float32, however they are kept: [Q, C, D + 1]."""
    return tf.cast(looked_up(candidates, rows), tf.float32)


def product(query: tf.Tensor, candidates: Candidates) -> tf.Tensor:
    """Returns [Q, items] float32, products of queries and candidates, computed as the candidates are kept."""
    if isinstance(candidates, Int8Candidates):
        return candidates.product(query)
    return tf.cast(tf.matmul(tf.cast(query, candidates.dtype), candidates, transpose_b=True), tf.float32)


def matching_scores(rows: tf.Tensor, second_item: tf.Tensor, second_score: tf.Tensor) -> tf.Tensor:
    """Returns log Σ_s exp(r_s)[x_s = y] for rows y: [Q, C]."""
    match = tf.equal(rows[:, :, None], second_item[:, None, :])
    return tf.reduce_logsumexp(tf.where(match, second_score[:, None, :], MASKED), axis=-1)


def first_seen_before(rows: tf.Tensor) -> tf.Tensor:
    """Marks the places of [Q, C] whose row stands further left already."""
    same = tf.equal(rows[:, :, None], rows[:, None, :])
    columns = tf.range(tf.shape(rows)[1])
    return tf.reduce_any(same & (columns[:, None] > columns[None, :])[None], axis=-1)
