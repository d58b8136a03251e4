"""TwoTowerModel: the towers and the tasks, nothing else."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec.barring import barred_items, without_barred
from tfrec.layers.balance import UncertaintyBalance
from tfrec.layers.embeddings import ItemEmbedding
from tfrec.layers.ranker import Ranker
from tfrec.layers.relations import Tensors
from tfrec.positives import ahead, further_weights
from tfrec.query import Query
from tfrec.ranking_task import RankingTask
from tfrec.retrieval_scores import retrieval_scores
from tfrec.schema import UNKNOWN_ROW
from tfrec.second_sums import log_sums
from tfrec.spec import ModelSpec
from tfrec.tasks import Elsewhere, Lesson, RetrievalTask
from tfrec.towers import CandidateTower, QueryTower


@keras.saving.register_keras_serializable("tfrec")
class TwoTowerModel(keras.Model):
    """A query tower over sequences and a candidate tower over items, trained by retrieval.

    Called with packed rows (see `QueryTower`) it returns their `Query`. `fit` takes pairs of
    packed rows and `{"item": [B, P] int32, "weight": [B, P] float32, "negatives": [U] int32}`: the
    item of each position's next event, whether it counts, and rows drawn uniformly.

    With tasks of ranking, rows have asides for impressions, and `fit` takes also `list.*`: the tensors of
    `tfrec.ranking_lists.RankingLists.dense`, and `list.at` [M, 2] int32, the row and place of each.

    Args:
        spec: settings and facts of the dataset.
    """

    def __init__(self, spec: ModelSpec | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = ModelSpec.model_validate(spec)
        embedding = ItemEmbedding(self.spec, name="items", dtype=self.dtype_policy)
        self.query_tower = QueryTower(self.spec, embedding, name="query_tower", dtype=self.dtype_policy)
        self.candidate_tower = CandidateTower(
            self.spec, embedding, name="candidate_tower", dtype=self.dtype_policy
        )
        self.task = RetrievalTask(self.spec)
        self.ranker = self.ranking_task = self.balance = None
        if self.spec.ranking.tasks:
            self.ranker = Ranker(self.spec, name="ranker", dtype=self.dtype_policy)
            self.ranking_task = RankingTask(self.spec)
        if self.spec.ranking.balance == "uncertainty":
            losses = len(self.spec.ranking.tasks) + self.spec.ranking.retrieval
            self.balance = UncertaintyBalance(losses, name="balance", dtype="float32")
        self.pretraining = False
        self.replicated: Callable[[Tensors, Tensors], dict[str, tf.Tensor]] | None = None
        self.teacher: Callable[[Tensors], Lesson] | None = None

    def set_pretraining(self, pretraining: bool) -> None:
        """Says whether `fit` gives hidden items to find from both sides (Sun et al. 2019, BERT4Rec)."""
        if pretraining != self.pretraining:
            self.pretraining = pretraining
            self.make_train_function(force=True)

    def build(self, input_shape: Any = None) -> None:
        self.query_tower.build()
        self.candidate_tower.build()
        if self.ranker is not None:
            self.ranker.build()
            # Of each task a and b: probabilities are sigmoid(a logit(p) + b); see `tfrec.calibration`.
            self.calibration = self.add_weight(
                name="calibration",
                shape=(len(self.spec.ranking.tasks), 2),
                initializer="zeros",
                trainable=False,
                dtype="float32",
            )
            self.calibration.assign([[1.0, 0.0]] * len(self.spec.ranking.tasks))
        if self.balance is not None:
            self.balance.build()
        self.target_share = self.add_weight(
            name="target_share",
            shape=(self.spec.items,),
            initializer="zeros",
            trainable=False,
            dtype="float32",
        )
        self.built = True

    def set_catalogue(self, target_share: np.ndarray, features: list[np.ndarray]) -> None:
        """Sets what the catalogue says: each item's share of the training targets, and its features."""
        self.target_share.assign(target_share)
        self.query_tower.embedding.set_features(features)

    def call(self, inputs: Tensors, training: bool | None = None) -> Query:
        return self.query_tower(inputs, training=training, both_ways=self.pretraining)

    def compute_loss(
        self,
        x: Tensors | None = None,
        y: Tensors | None = None,
        y_pred: Query | None = None,
        sample_weight: tf.Tensor | None = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Returns the loss of retrieval, and that of ranking where there is any, a scalar."""
        assert x is not None
        assert y is not None
        assert y_pred is not None
        ranking, losses, weights = self.spec.ranking, [], []
        if ranking.retrieval:
            losses.append(self._retrieval_loss(x, y, y_pred))
            weights.append(1.0)
        if self.ranking_task is not None:
            lists = {name.removeprefix("list."): v for name, v in y.items() if name.startswith("list.")}
            logits = self.rank(y_pred, lists["at"], lists, training=True, fold=y["fold"])
            losses += tf.unstack(self.ranking_task(logits, lists))
            weights += [ranking.weight * task.weight for task in ranking.tasks.values()]
        if self.balance is not None:
            return self.balance(tf.stack(losses), replicas=self.distribute_strategy.num_replicas_in_sync)
        return tf.reduce_sum(tf.stack(losses) * tf.constant(weights))

    # Reading and rewriting Python for what it decides by tensors, which is nothing, takes seconds.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: tuple[Tensors, Tensors]) -> dict[str, tf.Tensor]:
        """A step of `fit`; of several replicas, the step of the whole batch that each has a share of."""
        return super().train_step(data) if self.replicated is None else self.replicated(*data)

    def rank(
        self,
        query: Query,
        at: tf.Tensor,
        lists: Tensors,
        training: bool | None = None,
        fold: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the logits [M, C, T] of candidates, for `tfrec.ranking_task.log_probabilities`.

        Args:
            query: of packed rows.
            at: [M, 2] int32 rows and places of the requests that the lists answer.
            lists: see `RankingLists.dense`; with `retrieval` [M, C] float32 where those scores are known.
            fold: [B, P] int32, in training, whose users the rules must not know.
        """
        assert self.ranker is not None
        assert query.looked_at is not None
        encoded = query.looked_at
        # The catalogue has features of what ever gets an event: they would tell as much as the id.
        known = tf.where(lists["hidden"], UNKNOWN_ROW, lists["candidate"])
        embedding = self.query_tower.embedding(known)
        retrieval = None
        if self.spec.scored:
            retrieval = lists.get("retrieval")
            if retrieval is None:
                towers = self.query_tower, self.candidate_tower
                retrieval = retrieval_scores(towers, query, at, known, fold)
        of_towers = (
            embedding * self.spec.settings.dimensions**0.5,
            tf.gather_nd(encoded.state, at),
            tf.gather(encoded.events, at[:, 0]),
        )
        if not self.spec.ranking.into_towers:
            of_towers = tuple(map(tf.stop_gradient, of_towers))
        return self.ranker(
            lists,
            *of_towers,
            tf.gather_nd(encoded.visible, at),
            retrieval,
            training=training,
        )

    def _retrieval_loss(self, x: Tensors, y: Tensors, y_pred: Query) -> tf.Tensor:
        """The mean loss of the positions that have a target."""
        weight = tf.reshape(y["weight"], [-1])
        # What is hidden in pretraining stands among later events too.
        bars = self.spec.loss.bar_repeats and not self.pretraining
        barred = barred_items(x, self.spec) if bars else None
        target, further = self._targets(x, y)
        sums = {}
        if y_pred.copy_score is not None:
            sums["copies"] = log_sums(y_pred.copy_score, x["item"][:, None, :], target)
        if y_pred.rules is not None:
            item, score = self.query_tower.rule_candidates(y_pred.rules, y["fold"])
            if barred is not None:
                score = without_barred(score, item, barred)
            sums["rules"] = log_sums(score, item, target)
        lesson = None
        if self.teacher is not None and not self.pretraining:
            lesson = self.teacher(x)
        loss = self.task(
            query=tf.reshape(y_pred.embedding, [-1, y_pred.embedding.shape[-1]]),
            target=tf.reshape(y["item"], [-1]),
            weight=weight,
            candidates=self.candidate_tower,
            negatives=y["negatives"],
            target_share=tf.convert_to_tensor(self.target_share),
            barred=None if barred is None else tf.reshape(barred, [-1, barred.shape[-1]]),
            further=further,
            elsewhere=Elsewhere(y["elsewhere.target"], y["elsewhere.weight"]) if "total" in y else None,
            lesson=lesson,
            **sums,
        )
        return loss / tf.maximum(y.get("total", tf.reduce_sum(weight)), 1.0)

    def _targets(self, x: Tensors, y: Tensors) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns the places' targets [B, P, T], and what those beside the first count: [B * P, T - 1]."""
        item, count = y["item"], self.spec.loss.positives - 1
        if not count or self.pretraining:
            return item[..., None], None
        later = tf.reshape(ahead(tf.reshape(item, [-1]), count), [*item.shape, count])
        return tf.concat([item[..., None], later], axis=-1), further_weights(x, y["weight"], count)

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing is left to build. Keras would reduce a batch first, which fails where it is shared."""

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": keras.saving.serialize_keras_object(self.dtype_policy)} | {
            "spec": self.spec.model_dump(mode="json")
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "TwoTowerModel":
        config = dict(config)
        dtype = keras.saving.deserialize_keras_object(config.pop("dtype"))
        return cls(dtype=dtype, **config)
