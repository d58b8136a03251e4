"""What of a sequence is never answered."""

from typing import Literal

import tensorflow as tf

from tfrec.schema import PADDING_ROW, Repeats

LeaveOut = Literal["repeats", "session", "sequence"]
"""What the log says cannot come again, also the current session's items, or the whole sequence's."""


def left_out(own: tf.Tensor, in_session: tf.Tensor, repeats: Repeats, leave_out: LeaveOut) -> tf.Tensor:
    """Returns rows of the sequence that are not answered, PADDING_ROW elsewhere: [Q, P] or [Q, 2 P].

    Args:
        own: [Q, P] rows of a request's sequence, PADDING_ROW for none.
        in_session: [Q, P] bool, which are of the request's session.
        repeats: where the log shows an item again.
        leave_out: what is left out at least.
    """
    barred = barred_rows(own, in_session, repeats)
    if leave_out == "sequence":
        return own
    if leave_out == "session":
        return tf.concat([barred, tf.where(in_session, own, PADDING_ROW)], axis=1)
    return barred


def barred_rows(own: tf.Tensor, in_session: tf.Tensor, repeats: Repeats) -> tf.Tensor:
    """Returns the rows [Q, P] that cannot come again; PADDING_ROW elsewhere."""
    if repeats == "never":
        return own
    if repeats == "across_sessions":
        return tf.where(in_session, own, PADDING_ROW)
    return tf.zeros_like(own)
