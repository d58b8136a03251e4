"""A query tower that looks at the current session alone, to learn what the history gives."""

import tensorflow as tf

from tfrec.layers.relations import Tensors
from tfrec.schema import PADDING_ROW


def without_history(batch: Tensors) -> Tensors:
    """Returns packed rows in which every session is a sequence of its own.

    The last event before a new session becomes the start of that session's sequence: a place
    without an item, at the time of the request.
    """
    opens = batch["request_session"] > batch["session"]
    begins = opens & (batch["segment"] > 0)
    cut = batch | {
        "segment": tf.where(batch["segment"] > 0, tf.cumsum(tf.cast(begins, tf.int32), axis=1), 0),
        "time": tf.where(opens, batch["request_time"], batch["time"]),
        "session": tf.where(opens, batch["request_session"] - 1, batch["session"]),
    }
    for name in ("item", "event_type"):
        cut[name] = tf.where(opens, PADDING_ROW, batch[name])
    for name, value in batch.items():
        if name.startswith("context."):
            nothing = float("nan") if value.dtype.is_floating else PADDING_ROW
            cut[name] = tf.where(opens, tf.cast(nothing, value.dtype), value)
    return cut
