"""What the query tower says."""

from typing import NamedTuple

import tensorflow as tf

from tfrec.layers.rules import RuleWeights


class Encoded(NamedTuple):
    """What the encoder says of packed rows.

    Attributes:
        state: [B, P, D] of the requests at all places.
        events: [B, P, D] of the events before them.
        visible: [B, P, P] bool, which events a request may look at.
        item: [B, P] int32, of these events; PADDING_ROW where there is none.
    """

    state: tf.Tensor
    events: tf.Tensor
    visible: tf.Tensor
    item: tf.Tensor


class Query(NamedTuple):
    """What the query tower says at every position of packed rows.

    Attributes:
        embedding: [B, P, D + 1] float32; [B, Q, D + 1], and so on, where Q places are asked.
        copy_score: [B, P, P] float32, r of `CopyScores`; None without copy scores.
        rules: how much the rules of the newest events count; None without rules.
        looked_at: what ranking looks at; None without tasks of ranking.
    """

    embedding: tf.Tensor
    copy_score: tf.Tensor | None
    rules: RuleWeights | None
    looked_at: Encoded | None = None
