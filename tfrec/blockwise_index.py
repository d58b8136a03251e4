"""Exact search for many queries at once, near the speed of the machine's matrix products.

The scores of all queries and candidates are more than a cache holds: written to memory, barred, and read
again by top-k, they take longer than the products themselves. So they are worked out a chunk of the catalogue
after another, of which nothing is kept but the highest score of each block of candidates. The k best of a
query lie in the k blocks with the highest, whose scores are then worked out again.
"""

import os

import numpy as np
import tensorflow as tf

from tfrec.graph_index import best_of, top_of
from tfrec.layers.attention import MASKED
from tfrec.losses import log_add_exp
from tfrec.rescoring import embeddings_of
from tfrec.schema import FIRST_ROW

BLOCK = 32
"""Candidates whose best score stands for them."""
CHUNK = 4096
"""Candidates whose scores are in the cache at a time."""
LEAST = 1e-38
"""No sum is smaller, so that it has a logarithm."""
MANY = 4
"""Times as many blocks as are looked at again, for it to pay."""


class BlockwiseIndex(tf.Module):
    """Finds what `tfrec.graph_index.ExactIndex` finds, where there are many queries and candidates.

    Args:
        candidates: [items, D + 1] float32 of all rows, padding and unknown included.
        allowed: [A] int32 the only rows that are answered, rising; None: all items.
    """

    def __init__(self, candidates: tf.Tensor | tf.Variable, allowed: np.ndarray | None = None) -> None:
        super().__init__(name="blockwise_index")
        items = int(candidates.shape[0])
        rows = np.arange(FIRST_ROW, items, dtype=np.int32) if allowed is None else allowed
        self._size = len(rows)
        missing = -len(rows) % BLOCK
        self._rows = tf.constant(np.pad(rows, (0, missing)))
        place = np.full(items, len(rows) + missing, np.int32)  # of rows that are none of these: behind all
        place[rows] = np.arange(len(rows))
        self._place = tf.constant(place)
        self.candidates = candidates
        self._table = tf.gather(tf.convert_to_tensor(candidates), self._rows)

    @staticmethod
    def pays(items: int, k: int) -> bool:
        """Returns whether the search is worth its while for k answers of so many items."""
        return items >= max(MANY * BLOCK * k, CHUNK)

    def cells(self, k: int) -> int:
        """Returns about how many numbers are held for a query of k answers."""
        padded, width = self._table.shape
        return min(CHUNK, padded) + padded // BLOCK + min(k * BLOCK, padded) * width

    def answer(
        self,
        query: tf.Tensor,
        second_item: tf.Tensor,
        second_score: tf.Tensor | None,
        barred: tf.Tensor,
        k: int,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the best rows [Q, k] int32 and their scores [Q, k] float32: see `ExactIndex.answer`.

        Items that are scored a second way stay out of the search, and join its answers.
        """
        aside = barred if second_score is None else tf.concat([barred, second_item], axis=1)
        behind = tf.range(self._size, self._table.shape[0])
        behind = tf.repeat(behind[None], tf.shape(query)[0], axis=0)
        place = tf.sort(tf.concat([tf.gather(self._place, aside), behind], axis=1), axis=1)
        blocks, real = _chosen(self._best_of_blocks(query), place, k)
        near = tf.reshape(blocks[..., None] * BLOCK + tf.range(BLOCK), [tf.shape(query)[0], -1])
        table = tf.reshape(self._table, [-1, BLOCK, self._table.shape[1]])
        scores = tf.einsum("qkbd,qd->qkb", tf.gather(table, blocks), query)
        scores = tf.reshape(tf.where(real[..., None], scores, -np.inf), tf.shape(near))
        scores = tf.where(_in_sorted(place, near), -np.inf, scores)
        rows = tf.gather(self._rows, near)
        if second_score is not None:
            own, of_own = self._second(query, second_item, second_score, barred)
            scores, rows = tf.concat([scores, of_own], axis=1), tf.concat([rows, own], axis=1)
        return best_of(scores, rows, k)

    def _best_of_blocks(self, query: tf.Tensor) -> tf.Tensor:
        """[Q, blocks] the best score of each block, whoever has it."""
        queries, turned = tf.shape(query)[0], tf.transpose(query)
        padded, width = self._table.shape
        full = padded // CHUNK
        # One of them is taken without a copy.
        chunks = tf.reshape(self._table[: full * CHUNK], [full, CHUNK, width])

        def best(chunk: tf.Tensor, size: int) -> tf.Tensor:
            # Candidates stand in rows, so that the maxima of a block are those of whole rows.
            scores = tf.matmul(chunk, turned)
            return tf.reduce_max(tf.reshape(scores, [size // BLOCK, BLOCK, queries]), axis=1)

        found = tf.TensorArray(tf.float32, full, element_shape=[CHUNK // BLOCK, None])
        _, found = tf.while_loop(
            lambda number, _: number < full,
            lambda number, out: (number + 1, out.write(number, best(chunks[number], CHUNK))),
            (0, found),
            # A core works out products while another looks for the maxima of the last ones.
            parallel_iterations=os.cpu_count() or 1,
        )
        parts = [found.concat()] if full else []
        if padded % CHUNK:
            parts.append(best(self._table[full * CHUNK :], padded % CHUNK))
        return tf.ensure_shape(tf.transpose(tf.concat(parts, axis=0)), [None, padded // BLOCK])

    def _second(
        self, query: tf.Tensor, second_item: tf.Tensor, second_score: tf.Tensor, barred: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """[Q, S] rows that are scored a second way, in order, and their scores, each at its first place."""
        rows, totals, first = _totals(second_item, second_score)
        dense = tf.einsum("qd,qsd->qs", query, embeddings_of(self.candidates, rows))
        out = (
            _in_sorted(tf.sort(barred, axis=1), rows) | (tf.gather(self._place, rows) >= self._size) | ~first
        )
        return rows, tf.where(out, -np.inf, log_add_exp(dense, totals))


def _chosen(best: tf.Tensor, place: tf.Tensor, k: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The blocks in which the k best that are not barred lie: [Q, k + m] and which of them are meant.

    These are the k best of the blocks in which nothing is barred, and of the others those that seem no worse
    than the last of these: their best may be what is barred.

    Args:
        best: [Q, blocks] scores.
        place: [Q, M] int32 places that are barred, rising; beyond the last block: none.
        k: how many.
    """
    count = int(best.shape[1])
    block = place // BLOCK
    new = tf.concat([tf.ones_like(block[:, :1], tf.bool), block[:, 1:] != block[:, :-1]], axis=1)
    new &= block < count
    query = tf.where(new)[:, 0]
    at = tf.stack([tf.cast(query, tf.int32), tf.boolean_mask(block, new)], axis=1)
    clean = tf.tensor_scatter_nd_update(best, at, tf.fill([tf.shape(at)[0]], -np.inf))
    value, chosen = top_of(clean, min(k, count))
    seeming = tf.gather(best, tf.minimum(block, count - 1), batch_dims=1)
    seeming = tf.where(new & (seeming >= value[:, -1:]), seeming, -np.inf)
    more = tf.reduce_max(tf.reduce_sum(tf.cast(seeming > -np.inf, tf.int32), axis=1))
    value_more, which = tf.math.top_k(seeming, more)
    blocks = tf.concat([chosen, tf.gather(tf.minimum(block, count - 1), which, batch_dims=1)], axis=1)
    return blocks, tf.concat([value, value_more], axis=1) > -np.inf


def _totals(item: tf.Tensor, score: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Sorts items, [Q, S]; returns them, log Σ of the scores of each, and where each stands first.

    Sums of sorted ones need neither a table over the catalogue nor each item compared with each other one.
    """
    order = tf.argsort(item, axis=1)
    item, score = (tf.gather(values, order, batch_dims=1) for values in (item, score))
    first = tf.concat([tf.ones_like(item[:, :1], tf.bool), item[:, 1:] != item[:, :-1]], axis=1)
    of_item = tf.reshape(tf.cumsum(tf.reshape(tf.cast(first, tf.int32), [-1])) - 1, tf.shape(item))
    top = tf.maximum(tf.reduce_max(score, axis=-1, keepdims=True), MASKED / 2)
    sums = tf.math.segment_sum(tf.reshape(tf.exp(score - top), [-1]), tf.reshape(of_item, [-1]))
    return item, tf.math.log(tf.maximum(tf.gather(sums, of_item), LEAST)) + top, first


def _in_sorted(values: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """[Q, W] bool, which of [Q, W] are among the sorted [Q, M]."""
    at = tf.minimum(tf.searchsorted(values, wanted), tf.shape(values)[1] - 1)
    return tf.gather(values, at, batch_dims=1) == wanted
