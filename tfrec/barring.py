"""Items that cannot come again are no negatives of the requests that cannot have them.

Answers leave them out, so scores that push them down teach nothing, and cost: they lie near the query,
and push down what is like them.
"""

import tensorflow as tf

from tfrec.layers.attention import MASKED
from tfrec.layers.relations import Tensors, places_before
from tfrec.schema import PADDING_ROW
from tfrec.spec import ModelSpec

NEWEST = {"never": 256, "across_sessions": 64}
"""Events that are looked at, as each costs a comparison a score: few sequences or baskets are longer."""


def barred_items(batch: Tensors, spec: ModelSpec) -> tf.Tensor | None:
    """Returns the rows [B, P, W] that cannot be what follows each place, PADDING_ROW elsewhere.

    Args:
        batch: packed rows.
        spec: the model's; `repeats` says what cannot come again.

    Returns:
        None where everything can.
    """
    if spec.repeats == "anywhere":
        return None
    width = min(spec.settings.max_length, NEWEST[spec.repeats])
    barred = places_before(batch["segment"], width) == batch["segment"][..., None]
    if spec.repeats == "across_sessions":
        barred &= places_before(batch["session"], width) == batch["request_session"][..., None]
    return tf.where(barred, places_before(batch["item"], width), PADDING_ROW)


def without_barred(score: tf.Tensor, rows: tf.Tensor, barred: tf.Tensor) -> tf.Tensor:
    """Returns the scores [..., C] of rows, MASKED where a row [..., C] is among the barred ones [..., W]."""
    # One after another: XLA makes one loop of them, and [..., C, W] is never laid out.
    among = tf.zeros_like(score, tf.bool)
    for event in tf.unstack(barred, axis=-1):
        among |= tf.equal(rows, event[..., None])
    return tf.where(among, MASKED, score)
