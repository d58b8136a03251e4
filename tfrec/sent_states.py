"""What ranking looks at, as tensors that `encode` sends and `rank_encoded` takes; part of a servable's graph.

A server that searches between the two has no need to let the same sequence be encoded twice.
"""

import tensorflow as tf

from tfrec.layers.relations import Tensors
from tfrec.query import Encoded


def sent(encoded: Encoded) -> Tensors:
    """Returns the outputs `state` [B, D], `start_state` [B, D + 1] and `event_state` [B, L, D + 1], float32.

    The last number of a place's state is 1 where the request may look at it, else 0.

    Args:
        encoded: of rows that ask one request each; place 0 is a sequence's start.
    """
    events = tf.cast(encoded.events, tf.float32)
    seen = tf.cast(encoded.visible[:, 0, :, None], tf.float32)
    places = tf.concat([events, seen], axis=-1)
    state = tf.cast(encoded.state[:, 0], tf.float32)
    return {"state": state, "start_state": places[:, 0], "event_state": places[:, 1:]}


def received(inputs: Tensors, dtype: tf.DType) -> Encoded:
    """Returns what was sent, in the dtype of the encoder; items stay unknown, which scores are given for.

    Args:
        inputs: `state`, `start_state`, `event_state`, padded with anything, and `length` [B] int32, how many
            of the L places are events.
        dtype: of the encoder.
    """
    events = inputs["event_state"]
    places = tf.concat([inputs["start_state"][:, None], events], axis=1)
    real = tf.range(tf.shape(events)[1])[None] < inputs["length"][:, None]
    seen = (places[..., -1] > 0) & tf.pad(real, [[0, 0], [1, 0]], constant_values=True)
    return Encoded(
        state=tf.cast(inputs["state"][:, None], dtype),
        events=tf.cast(places[..., :-1], dtype),
        visible=seen[:, None],
        item=tf.zeros(tf.shape(places)[:2], tf.int32),
    )


def state_specs(dimensions: int) -> dict[str, tf.TensorSpec]:
    """Returns the inputs of `received`, by name.

    Args:
        dimensions: D.
    """
    shapes = {
        "state": [None, dimensions],
        "start_state": [None, dimensions + 1],
        "event_state": [None, None, dimensions + 1],
    }
    specs = {name: tf.TensorSpec(shape, tf.float32, name=name) for name, shape in shapes.items()}
    return specs | {"length": tf.TensorSpec([None], tf.int32, name="length")}
