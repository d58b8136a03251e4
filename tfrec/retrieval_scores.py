"""What retrieval says of given candidates, as an input of ranking."""

import tensorflow as tf

from tfrec.layers.attention import MASKED
from tfrec.layers.rules import RuleWeights
from tfrec.losses import log_add_exp
from tfrec.query import Query
from tfrec.rescoring import matching_scores
from tfrec.schema import PADDING_ROW
from tfrec.towers import CandidateTower, QueryTower


def retrieval_scores(
    towers: tuple[QueryTower, CandidateTower],
    query: Query,
    at: tf.Tensor,
    candidate: tf.Tensor,
    fold: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns log(exp(q·e_y + b_y) + Σ_s exp(r_s)[x_s = y]), copies and rules included: [M, C] float32.

    No gradient flows back: ranking does not change what retrieval says.

    Args:
        towers: that gave the query, and embed candidates.
        query: of packed rows.
        at: [M, 2] int32 rows and places of the requests.
        candidate: [M, C] int32 rows of items.
        fold: [B, P] int32, in training, whose users the rules must not know.
    """
    query_tower, candidate_tower = towers
    embedding = tf.gather_nd(query.embedding, at)
    score = tf.einsum("md,mcd->mc", embedding, candidate_tower(candidate))
    if query.copy_score is not None and query.looked_at is not None:
        item = tf.gather(query.looked_at.item, at[:, 0])
        copies = tf.where(item > PADDING_ROW, tf.gather_nd(query.copy_score, at), MASKED)
        score = log_add_exp(score, matching_scores(candidate, item, copies))
    if query.rules is not None:
        of_requests = RuleWeights(*(tf.gather_nd(tensor, at) for tensor in query.rules))
        of_fold = None if fold is None else tf.gather_nd(fold, at)
        item, rules = query_tower.rule_candidates(of_requests, of_fold)
        if fold is not None:
            # As in answers, where no fold is left out.
            rules += query_tower.spec.settings.rule_boost
        score = log_add_exp(score, matching_scores(candidate, item, rules))
    return tf.stop_gradient(score)
