"""Rules of what is answered, after the scores: no more than some of a kind, unlike answers, exploration."""

import numpy as np
import tensorflow as tf

from tfrec.config_answers import AnswerSettings
from tfrec.dataset import Facts
from tfrec.errors import SettingsError
from tfrec.features import feature_values
from tfrec.schema import FIRST_ROW, PADDING_ROW

DRAWS = 1 << 24
"""As many values as a float32 tells apart between 0 and 1."""


class Rules(tf.Module):
    """Chooses answers among candidates, one after another.

    The next answer is the candidate with the highest (1 - d) · value - d · similarity to the most similar
    answer before it (Carbonell and Goldstein 1998, maximal marginal relevance), d the diversity. With the
    probability of exploration it is drawn by lot instead (ε-greedy), or is the highest by a value drawn from
    what it may be (Thompson sampling; Chapelle and Li 2011): normal, with a deviation that falls with the
    root of the item's events. None takes a candidate of whose kind there are as many as may be.

    Args:
        answers: the rules.
        facts: the catalogue.
        seed: of the lots.

    Raises:
        SettingsError: a rule speaks of a feature that the catalogue does not have, or not one value an item.
    """

    def __init__(self, answers: AnswerSettings, facts: Facts, seed: int) -> None:
        super().__init__()
        self.answers = answers
        self.seed = seed
        counts = np.concatenate([np.zeros(FIRST_ROW), facts.catalogue["train_count"]])
        self.deviation = tf.constant(answers.uncertainty / np.sqrt(1 + counts), tf.float32)
        self.kinds = [(tf.constant(_kinds(facts, name)), most) for name, most in answers.at_most.items()]

    def choose(
        self, rows: tf.Tensor, value: tf.Tensor, embedding: tf.Tensor, key: tf.Tensor, k: int
    ) -> tf.Tensor:
        """Returns the places of the answers among the candidates, in order: [B, k] int32, -1 for none.

        Args:
            rows: [B, C] int32, PADDING_ROW where there is no candidate.
            value: [B, C] float32 in [0, 1].
            embedding: [B, C, D] float32, whose cosines are similarities.
            key: [B] int64; requests with one key draw the same lots.
            k: how many.
        """
        kinds = [tf.gather(kind, rows) for kind, _ in self.kinds]
        diversity, explore = self.answers.diversity, self.answers.explore
        if explore:
            lot = self._lots(key, rows)
            drawn = tf.gather(self.deviation, rows) * self._normal(key, rows) * (1 - diversity)
            of_place = self._lots(key, -1 - tf.broadcast_to(tf.range(k), [tf.shape(rows)[0], k]))
        if diversity:
            embedding = tf.math.l2_normalize(embedding, axis=-1)

        def step(
            number: tf.Tensor,
            open_: tf.Tensor,
            nearest: tf.Tensor,
            chosen: tf.TensorArray,
            *counts: tf.Tensor,
        ) -> tuple[tf.Tensor | tf.TensorArray, ...]:
            utility = (1 - diversity) * value
            if diversity:
                utility -= diversity * tf.where(number > 0, nearest, 0.0)
            if explore:
                explored = lot if self.answers.explore_by == "lot" else utility + drawn
                utility = tf.where(of_place[:, number, None] < explore, explored, utility)
            allowed = open_
            for count, (_, most) in zip(counts, self.kinds, strict=True):
                allowed &= count < most
            place = tf.argmax(tf.where(allowed, utility, -np.inf), axis=1, output_type=tf.int32)
            found = tf.reduce_any(allowed, axis=1)
            taken = tf.one_hot(place, tf.shape(rows)[1], on_value=True, off_value=False) & found[:, None]
            if diversity:
                like = tf.einsum("bcd,bd->bc", embedding, tf.gather(embedding, place, batch_dims=1))
                nearest = tf.maximum(nearest, like)
            counts = tuple(
                count + tf.cast(_same(kind, place) & found[:, None], tf.int32)
                for count, kind in zip(counts, kinds, strict=True)
            )
            return (
                number + 1,
                open_ & ~taken,
                nearest,
                chosen.write(number, tf.where(found, place, -1)),
                *counts,
            )

        none = tf.zeros_like(rows)
        begin = (tf.constant(0), rows != PADDING_ROW, tf.fill(tf.shape(rows), -1.0))
        chosen = tf.TensorArray(tf.int32, k, element_shape=[None])
        state = tf.while_loop(
            lambda number, *_: number < k,
            step,
            (*begin, chosen, *(none for _ in kinds)),
            maximum_iterations=k,
        )
        return tf.transpose(state[3].stack())

    def _normal(self, key: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """[B, C] float32 standard normal, the same for the same seed, key and row (Box and Muller 1958)."""
        # Lots of numbers that are neither rows nor places.
        first, second = (self._lots(key, rows + sign * (1 << 29)) for sign in (1, -1))
        return tf.sqrt(-2 * tf.math.log1p(-first)) * tf.cos(2 * np.pi * second)

    def _lots(self, key: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        """[B, C] float32 uniform in [0, 1), the same for the same seed, key and number."""
        keys = tf.tile(tf.strings.as_string(key)[:, None], [1, tf.shape(number)[1]])
        text = tf.strings.join([str(self.seed), keys, tf.strings.as_string(number)], separator=" ")
        return tf.cast(tf.strings.to_hash_bucket_fast(text, DRAWS), tf.float32) / DRAWS


def _same(kind: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """[B, C] bool: the candidates of the kind of the one at `place`; of no kind: none."""
    of_place = tf.gather(kind, place, batch_dims=1)[:, None]
    return tf.equal(kind, of_place) & (of_place != PADDING_ROW)


def _kinds(facts: Facts, name: str) -> np.ndarray:
    """[items] int32 the value that each row of the item table has of a feature; PADDING_ROW for none."""
    categorical = {f.name: f for f in facts.schema.item_features if f.kind == "categorical"}
    if name not in categorical:
        known = ", ".join(categorical) or "none"
        raise SettingsError(
            f"answers.at_most: {name!r} is no feature of the catalogue with one value an item; such ones are "
            f"{known}"
        )
    (values,) = feature_values(facts, (categorical[name],), (1,))
    return values[:, 0]
