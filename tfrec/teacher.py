"""Distillation: a small model learns from what a trained one says of the same requests.

Source: Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network", 2015.
"""

import tensorflow as tf

from tfrec.dataset import Facts
from tfrec.errors import SettingsError
from tfrec.layers.relations import Tensors
from tfrec.spec import ModelSpec
from tfrec.tasks import Lesson
from tfrec.trained import TrainedModel


class Teacher:
    """A trained model whose scores of the catalogue another one learns to give.

    Of its scores of a second kind, copies and rules, nothing is taught: they are counted and remembered
    rather than compressed, and a student has its own.

    Args:
        trained: the model.
        spec: of the student.
        facts: of the student's dataset.

    Raises:
        SettingsError: it was trained on other items, or looks at what the student's batches do not hold.
    """

    def __init__(self, trained: TrainedModel, spec: ModelSpec, facts: Facts) -> None:
        theirs = trained.model.spec
        if list(trained.facts.items.values) != list(facts.items.values):
            raise SettingsError(
                f"--teacher: it knows {theirs.items:,} rows of items, and not the same as the dataset's "
                f"{spec.items:,}. Train it on this dataset."
            )
        if lacking := {c.name for c in theirs.context} - {c.name for c in spec.context}:
            raise SettingsError(
                f"--teacher: it looks at the context {', '.join(sorted(lacking))}, which the student leaves "
                "out. Train the student with model.context=true."
            )
        self._model = trained.model

    def __call__(self, inputs: Tensors) -> Lesson:
        """Returns what it says at all places of packed rows."""
        query = tf.stop_gradient(self._model(inputs, training=False).embedding)
        return Lesson(tf.reshape(query, [-1, query.shape[-1]]), self._candidates)

    def _candidates(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.stop_gradient(self._model.candidate_tower(rows))
