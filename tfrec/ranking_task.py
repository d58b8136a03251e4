"""The ranking tasks, built on that of TensorFlow Recommenders."""

import tensorflow as tf

from tfrec.layers.attention import MASKED
from tfrec.layers.relations import Tensors
from tfrec.spec import ModelSpec
from tfrec.tensorflow import tensorflow_recommenders

tfrs = tensorflow_recommenders()

LEAST = 1e-6
"""No probability counts as nearer to 1, where its logarithm is all that is kept of it."""


def log_probabilities(logits: tf.Tensor, spec: ModelSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns log p and log(1 - p) of each task, [..., T] each.

    A task that is given another has p = p(given) · sigmoid(logit): the probability of both, which is what
    all candidates can teach, not only those for which the first came (Ma et al. 2018, ESMM).

    Args:
        logits: [..., T], in the order of the tasks.
        spec: the model's.
    """
    tasks = spec.ranking.tasks
    names = list(tasks)
    own = tf.math.log_sigmoid(logits)
    came, not_came = [], []
    for place, task in enumerate(tasks.values()):
        log_p, given = own[..., place], task.given
        while given is not None:
            log_p += own[..., names.index(given)]
            given = tasks[given].given
        came.append(log_p)
        single = task.given is None
        not_came.append(
            tf.math.log_sigmoid(-logits[..., place])
            if single
            else tf.math.log(-tf.math.expm1(tf.minimum(log_p, -LEAST)))
        )
    return tf.stack(came, axis=-1), tf.stack(not_came, axis=-1)


class RankingTask:
    """What lists of candidates teach: whether each came, and which of a list.

    `tfrs.tasks.Ranking` with a loss of its own: of each list Σ_c -log p(label_c), and `listwise` times the
    softmax over the list, -Σ_c label_c log(p_c / Σ p) / Σ label, which knows an order alone. Of regression it
    is half the squared error of the standardised number, over the candidates that have one. Of a list that
    was cut, candidates count as those that they stand for.

    Args:
        spec: the model's.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.task = tfrs.tasks.Ranking(loss=self._loss)

    def __call__(self, logits: tf.Tensor, lists: Tensors) -> tf.Tensor:
        """Returns the mean over lists of each task's loss: [T].

        Args:
            logits: [M, C, T].
            lists: `weight` [M, C] float32, how many candidates each stands for, 0 where there is none,
                `label.TASK` [M, C] float32, `strength.TASK` where the task has one, and `total`, how many
                lists there are, where these are a share of them.
        """
        tasks = self.spec.ranking.tasks
        labels = tf.stack([lists[f"label.{name}"] for name in tasks], axis=-1)
        weights = [
            lists["weight"] * lists[f"strength.{name}"] if task.strength else lists["weight"]
            for name, task in tasks.items()
        ]
        weight = tf.stack(weights, axis=-1)
        total = lists.get("total")
        if total is None:
            total = tf.reduce_sum(tf.cast(tf.reduce_any(weight > 0, axis=[1, 2]), tf.float32))
        summed = self.task.call(labels, logits, sample_weight=weight, compute_metrics=False)
        return summed / tf.maximum(total, 1.0)

    def _loss(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor) -> tf.Tensor:
        ranking, weight = self.spec.ranking, sample_weight
        regression = tf.constant([task.kind == "regression" for task in ranking.tasks.values()])
        known = tf.math.is_finite(y_true)
        y_true = tf.where(known, y_true, 0.0)
        squares = tf.where(known, tf.square(y_pred - y_true) / 2, 0.0)
        came, not_came = log_probabilities(y_pred, self.spec)
        entropy = -(y_true * came + (1 - y_true) * not_came)
        losses = tf.reduce_sum(weight * tf.where(regression, squares, entropy), axis=1)
        if ranking.listwise:
            stands = came + tf.math.log(tf.maximum(weight, LEAST))
            total = tf.reduce_logsumexp(tf.where(weight > 0, stands, MASKED), axis=1, keepdims=True)
            count = tf.reduce_sum(y_true, axis=1)
            order = -tf.reduce_sum(y_true * (came - total), axis=1) / tf.maximum(count, 1.0)
            losses += tf.where(regression, 0.0, ranking.listwise * order)
        return tf.reduce_sum(losses, axis=0)
