"""The retrieval task, built on that of TensorFlow Recommenders."""

import functools
import math
from typing import Any

import tensorflow as tf

from tfrec.losses import mixture_cross_entropy
from tfrec.negatives import log_expected_count
from tfrec.schema import FIRST_ROW
from tfrec.spec import ModelSpec
from tfrec.tensorflow import tensorflow_recommenders
from tfrec.towers import CandidateTower

tfrs = tensorflow_recommenders()

# TFRS takes the length of a symbolic shape, which AutoGraph turns into graph operations. A nested
# tf.function would do so too, but inside an XLA program its gradient makes the weights constants
# of the program, which is then compiled anew at every step.
_retrieval_call = tf.autograph.to_graph(tfrs.tasks.Retrieval.call)

NEVER = 1e9
"""log m of a column that takes no part."""


class RetrievalTask:
    """Tells each query's target from the other targets of its block and from further candidates.

    `tfrs.tasks.Retrieval` scores queries against candidates, labels the diagonal and removes
    accidental hits; the loss it is given is `mixture_cross_entropy`, which corrects for sampling
    and knows copy scores. Queries come in blocks, so that the scores stay small.

    Args:
        spec: the model's.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    def __call__(
        self,
        query: tf.Tensor,
        target: tf.Tensor,
        weight: tf.Tensor,
        candidates: CandidateTower,
        negatives: tf.Tensor,
        target_share: tf.Tensor,
        copy_target: tf.Tensor | None = None,
        copy_total: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the weighted sum of the losses, a scalar.

        Args:
            query: [Q, D + 1] float32.
            target: [Q] int32, rows of the items that came.
            weight: [Q] float32; 0 where there is no target.
            candidates: the tower that embeds rows.
            negatives: [U] int32, rows drawn uniformly; not looked at with a full softmax. They are
                given rather than drawn here, since XLA would draw them anew for every score.
            target_share: [items] float32, each item's share of the training targets.
            copy_target, copy_total: [Q] as `mixture_cross_entropy` takes them; None without.
        """
        further = tf.range(FIRST_ROW, self.spec.items) if self.spec.full_softmax else negatives
        embedded_further = candidates(further)

        def block_loss(block: Any) -> tf.Tensor:
            query, target, embedded, weight, *copies = block
            rows = tf.concat([target, further], axis=0)
            loss = functools.partial(
                mixture_cross_entropy,
                log_expected_count=self._log_counts(rows, weight, target_share),
                copy_target=copies[0] if copies else None,
                copy_total=copies[1] if copies else None,
            )
            task = tfrs.tasks.Retrieval(loss=loss, remove_accidental_hits=True)
            return _retrieval_call(
                task,
                query,
                tf.concat([embedded, embedded_further], axis=0),
                sample_weight=weight,
                candidate_ids=rows,
                compute_metrics=False,
                compute_batch_metrics=False,
            )

        parts = [query, target, candidates(target), weight]
        parts += [] if copy_target is None else [copy_target, copy_total]
        blocks = [_in_blocks(part, self.spec.loss.in_batch) for part in parts]
        return tf.reduce_sum(tf.map_fn(block_loss, blocks, fn_output_signature=tf.float32))

    def _log_counts(self, rows: tf.Tensor, weight: tf.Tensor, target_share: tf.Tensor) -> tf.Tensor:
        """log m of each column: a column that must not count is expected infinitely often."""
        in_batch = weight.shape[0]
        others = tf.fill([in_batch], NEVER)
        if self.spec.full_softmax:
            return tf.concat([others, tf.zeros([self.spec.items - FIRST_ROW])], axis=0)
        drawn = tf.reduce_sum(tf.cast(weight > 0, tf.float32))
        uniform = rows.shape[0] - in_batch
        counts = log_expected_count(rows, target_share, drawn, uniform, self.spec.items)
        return tf.concat([tf.where(weight > 0, counts[:in_batch], others), counts[in_batch:]], axis=0)


def _in_blocks(x: tf.Tensor, size: int) -> tf.Tensor:
    """[Q, ...] -> [G, Q / G, ...], neighbours (events of one user) in different blocks.

    G is the divisor of Q whose blocks are nearest to `size`.
    """
    queries = x.shape[0]
    divisors = [g for g in range(1, queries + 1) if queries % g == 0]
    blocks = min(divisors, key=lambda g: abs(math.log(queries / g / size)))
    x = tf.reshape(x, [queries // blocks, blocks, *x.shape[1:]])
    return tf.transpose(x, [1, 0, *range(2, len(x.shape))])
