"""The retrieval task, built on that of TensorFlow Recommenders."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfrec.barring import without_barred
from tfrec.blockwise import sum_over_blocks
from tfrec.losses import Further, SecondSums, loss_function, soft_cross_entropy
from tfrec.negatives import log_expected_count
from tfrec.positives import ahead
from tfrec.schema import FIRST_ROW
from tfrec.spec import ModelSpec
from tfrec.tensorflow import tensorflow_recommenders
from tfrec.towers import CandidateTower

tfrs = tensorflow_recommenders()

# TFRS takes the length of a symbolic shape, which AutoGraph turns into graph operations. A nested
# tf.function would do so too, but inside an XLA program its gradient makes the weights constants
# of the program, which is then compiled anew at every step.
_retrieval_call = tf.autograph.to_graph(tfrs.tasks.Retrieval.call, recursive=False)

NEVER = 1e9
"""log m of a column that takes no part."""


class Elsewhere(NamedTuple):
    """The targets at the same places of the batch's S other shares, where replicas have one each.

    Attributes:
        target: [Q, S] int32.
        weight: [Q, S] float32.
    """

    target: tf.Tensor
    weight: tf.Tensor


class Lesson(NamedTuple):
    """What a teacher says.

    Attributes:
        query: [Q, D' + 1] float32.
        candidates: gives its candidates [N, D' + 1] at rows [N].
    """

    query: tf.Tensor
    candidates: Callable[[tf.Tensor], tf.Tensor]


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
        self._loss = loss_function(spec.loss, spec.items)

    def __call__(
        self,
        query: tf.Tensor,
        target: tf.Tensor,
        weight: tf.Tensor,
        candidates: CandidateTower,
        negatives: tf.Tensor,
        target_share: tf.Tensor,
        copies: SecondSums | None = None,
        rules: SecondSums | None = None,
        barred: tf.Tensor | None = None,
        further: tf.Tensor | None = None,
        elsewhere: Elsewhere | None = None,
        lesson: Lesson | None = None,
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
            copies, rules: what copy scores and rule scores add; None without.
            barred: [Q, W] int32, rows that are no negatives of a query; None: all are.
            further: [Q, F] float32, what the targets of the F queries after each count for it; None: nothing.
            elsewhere: the targets of the batch's other shares, in-batch negatives too; None: there are none.
            lesson: what a teacher says of the same queries; None: there is none.
        """
        others = tf.range(FIRST_ROW, self.spec.items) if self.spec.full_softmax else negatives
        taught_others = None if lesson is None else lesson.candidates(others)

        def block_loss(block: dict[str, Any], embedded_others: tf.Tensor) -> tf.Tensor:
            targets = _own_and_elsewhere(block)
            rows = tf.concat([targets["target"], others], axis=0)
            counts = self._log_counts(rows, targets["weight"], target_share)

            def loss(y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor) -> tf.Tensor:
                if barred is not None:
                    possible = without_barred(y_pred, rows, block["barred"])
                    y_pred = tf.where(y_true > 0.5, y_pred, possible)
                given = (y_true, y_pred, sample_weight)
                beside = {"log_expected_count": counts, "further": block.get("further")}
                found = self._mixed_loss(given, beside, block.get("copies"), block.get("rules"))
                if lesson is None:
                    return found
                known = tf.concat([block["taught.target"], taught_others], axis=0)
                taught = tf.stop_gradient(tf.matmul(block["taught.query"], known, transpose_b=True))
                share = self.spec.loss.distillation
                return (1 - share) * found + share * soft_cross_entropy(
                    y_pred,
                    taught,
                    sample_weight,
                    y_true=y_true,
                    log_expected_count=counts,
                    temperature=self.spec.loss.teacher_temperature,
                )

            task = tfrs.tasks.Retrieval(loss=loss, remove_accidental_hits=True)
            return _retrieval_call(
                task,
                block["query"],
                tf.concat([targets["embedded"], embedded_others], axis=0),
                sample_weight=block["weight"],
                candidate_ids=rows,
                compute_metrics=False,
                compute_batch_metrics=False,
            )

        parts = {"query": query, "target": target, "weight": weight}
        parts["embedded"] = candidates(target, training=True)
        optional: dict[str, Any] = {"copies": copies, "rules": rules, "barred": barred}
        if lesson is not None:
            optional |= {"taught.query": lesson.query, "taught.target": lesson.candidates(target)}
        if further is not None:
            later = ahead(parts["embedded"], further.shape[1])
            optional["further"] = Further(tf.einsum("qd,qfd->qf", query, later), further)
        in_batch = self.spec.loss.in_batch
        if elsewhere is not None and not self.spec.full_softmax and self.spec.loss.in_batch_negatives:
            in_batch = max(in_batch // (1 + elsewhere.target.shape[1]), 1)
            embedded = candidates(elsewhere.target, training=True)
            optional["elsewhere"] = {**elsewhere._asdict(), "embedded": embedded}
        parts |= {name: part for name, part in optional.items() if part is not None}
        blocks = tf.nest.map_structure(lambda part: _in_blocks(part, in_batch), parts)
        return sum_over_blocks(block_loss, blocks, candidates(others, training=True))

    def _mixed_loss(
        self,
        given: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
        beside: dict[str, Any],
        copies: SecondSums | None,
        rules: SecondSums | None,
    ) -> tf.Tensor:
        """The loss with rules, and a share of that without, so that the towers learn to do without them."""
        if rules is None:
            return self._loss(*given, second=copies, **beside)
        share = self.spec.loss.without_rules
        both = rules if copies is None else copies.plus(rules)
        found = (1 - share) * self._loss(*given, second=both, **beside)
        if share:
            found += share * self._loss(*given, second=copies, **beside)
        return found

    def _log_counts(self, rows: tf.Tensor, weight: tf.Tensor, target_share: tf.Tensor) -> tf.Tensor:
        """log m of each column: a column that must not count is expected infinitely often."""
        in_batch = weight.shape[0]
        others = tf.fill([in_batch], NEVER)
        if self.spec.full_softmax:
            return tf.concat([others, tf.zeros([self.spec.items - FIRST_ROW])], axis=0)
        if not self.spec.loss.in_batch_negatives:
            weight = tf.zeros_like(weight)
        drawn = tf.reduce_sum(tf.cast(weight > 0, tf.float32))
        uniform = rows.shape[0] - in_batch
        counts = log_expected_count(rows, target_share, drawn, uniform, self.spec.items)
        return tf.concat([tf.where(weight > 0, counts[:in_batch], others), counts[in_batch:]], axis=0)


def _own_and_elsewhere(block: dict[str, Any]) -> dict[str, tf.Tensor]:
    """The targets of a block, and behind them those of the other shares' blocks."""
    own = {name: block[name] for name in ("target", "weight", "embedded")}
    if "elsewhere" not in block:
        return own
    flat = {name: tf.reshape(part, [-1, *part.shape[2:]]) for name, part in block["elsewhere"].items()}
    return {name: tf.concat([part, flat[name]], axis=0) for name, part in own.items()}


def _in_blocks(x: tf.Tensor, size: int) -> tf.Tensor:
    """[Q, ...] -> [G, Q / G, ...], neighbours (events of one user) in different blocks.

    G is the divisor of Q whose blocks are nearest to `size`.
    """
    queries = x.shape[0]
    divisors = [g for g in range(1, queries + 1) if queries % g == 0]
    blocks = min(divisors, key=lambda g: abs(math.log(queries / g / size)))
    x = tf.reshape(x, [queries // blocks, blocks, *x.shape[1:]])
    return tf.transpose(x, [1, 0, *range(2, len(x.shape))])
