"""What lies between an event and the request it may help to answer: time, sessions, places.

Every position t of a sequence asks for the event after it. The request's time and session are
those of that next event (or the caller's, at the end of a sequence): both are known when a
recommendation is wanted, and neither says what the item is.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tfrec.spec import ModelSpec

Tensors = dict[str, Any]


class Distances(NamedTuple):
    """How far each event s (last axis) is from each request t.

    Attributes:
        sessions: [B, P, P] int32, sessions between; 0: the request's own.
        minutes: [B, P, P] float32; None without clock times, or where they are not asked for.
        places: int32, events between; [P, P] or, where rows have asides, [B, P, P]; None without an order, or
            where not asked for.
    """

    sessions: tf.Tensor
    minutes: tf.Tensor | None
    places: tf.Tensor | None


class Relations(NamedTuple):
    """Pairs of a request position t (axis 1) and an event s (axis 2) in packed rows [B, P].

    Attributes:
        visible: [B, P, P] bool: s is not after t, and of the same sequence. Asides are seen by none but
            themselves.
        in_session: [B, P, P] bool: visible, and s belongs to the request's session.
        same_session: [B, P, P] bool: visible, and s belongs to the session of event t.
        distances: for the pairwise terms.
    """

    visible: tf.Tensor
    in_session: tf.Tensor
    same_session: tf.Tensor
    distances: Distances

    def of(self, batch: Tensors) -> "Relations":
        """Returns those of the requests that are asked: [B, Q, P] each; see `of_asked`."""
        if "asked" not in batch:
            return self
        sessions, minutes, places = self.distances
        if places is not None:
            of_rows = len(places.shape) == 3
            places = of_asked(places, batch) if of_rows else tf.gather(places, batch["asked"])
        return Relations(
            of_asked(self.visible, batch),
            of_asked(self.in_session, batch),
            of_asked(self.same_session, batch),
            Distances(
                of_asked(sessions, batch), None if minutes is None else of_asked(minutes, batch), places
            ),
        )


def of_asked(x: tf.Tensor, batch: Tensors) -> tf.Tensor:
    """Returns what stands at the requests that are asked: [B, Q, ...] of [B, P, ...]; all where none are.

    Args:
        x: of all places.
        batch: with `asked` [B, Q] int32, the places whose queries alone are wanted, or without.
    """
    return tf.gather(x, batch["asked"], batch_dims=1) if "asked" in batch else x


def relations(batch: Tensors, spec: ModelSpec, both_ways: bool = False) -> Relations:
    """Compares every position of a row with every earlier one of the same sequence.

    Args:
        batch: `segment`, `session`, `time`, `request_time`, `request_session`: int32 [B, P];
            times in seconds since any moment of the sequence's own. Where rows have asides (see
            `tfrec.batches.Asides`), also `rank` int32 and `aside` bool.
        spec: the model's.
        both_ways: let places see later ones of their sequence too.
    """
    segment = batch["segment"]
    place = tf.range(tf.shape(segment)[1])
    together = (segment[:, :, None] == segment[:, None, :]) & (segment > 0)[:, :, None]
    if "aside" in batch:
        place = batch["rank"]
        looked_at = ~batch["aside"][:, None, :] & (place[:, None, :] < place[:, :, None])
        visible = together & (looked_at | tf.eye(tf.shape(segment)[1], dtype=tf.bool))
    elif both_ways:
        visible = together
    else:
        visible = together & (place[None, :, None] >= place[None, None, :])
    session = batch["session"][:, None, :]
    in_session = visible & (batch["request_session"][:, :, None] == session)
    same_session = visible & (batch["session"][:, :, None] == session)
    return Relations(visible, in_session, same_session, _distances(batch, spec, place))


def _distances(batch: Tensors, spec: ModelSpec, place: tf.Tensor) -> Distances:
    sessions = tf.maximum(batch["request_session"][:, :, None] - batch["session"][:, None, :], 0)
    minutes = places = None
    if spec.pairs("time"):
        gap = batch["request_time"][:, :, None] - batch["time"][:, None, :]
        minutes = tf.cast(tf.maximum(gap, 0), tf.float32) / 60.0
    if spec.pairs("places"):
        places = tf.maximum(place[..., :, None] - place[..., None, :], 0)
    return Distances(sessions, minutes, places)


def places_before(x: tf.Tensor, count: int) -> tf.Tensor:
    """Returns what stands 0, 1, … `count` - 1 places before each of [B, P]: [B, P, count], 0 at the front."""
    length = tf.shape(x)[1]
    padded = tf.pad(x, [[0, 0], [count - 1, 0]])
    return tf.stack([padded[:, count - 1 - n : count - 1 - n + length] for n in range(count)], axis=-1)
