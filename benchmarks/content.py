"""A user's nearest items by content: what can be said of a new item without learning."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks.asking import Answers
from tfrec.schema import Repeats

RECENT = 10
"""Newest events that make a user's profile, the n-th newest with weight 1/n."""


def content_answers(
    events: pd.DataFrame,
    items: pd.DataFrame,
    kinds: Mapping[str, str],
    repeats: Repeats,
    catalogue: np.ndarray,
    k: int,
) -> Callable[[np.ndarray, np.ndarray | None], Answers]:
    """Returns what answers as `benchmarks.asking.Ask` does.

    An item is the vector of its features' values, each weighed by the inverse of its frequency, scaled to
    length one; the score is its dot product with the user's profile.

    Args:
        events: the judge's, in order.
        items: a line an item, with the features.
        kinds: of the features, by name.
        repeats: whether items come again.
        catalogue: [N] sorted ids that can be answered.
        k: answers a query.
    """
    vectors = item_vectors(items.set_index("item_id").reindex(catalogue), kinds)
    user, session = events.user_id.to_numpy(), events.session_id.to_numpy()
    row = pd.Index(catalogue).get_indexer(events.item_id)

    def answer(at: np.ndarray, allow: np.ndarray | None) -> Answers:
        found = []
        allowed = np.ones(len(catalogue), bool) if allow is None else np.isin(catalogue, allow)
        for place in at:
            begin = int(np.searchsorted(user, user[place], side="left"))
            newest = row[begin:place][-RECENT:]
            weight = 1.0 / np.arange(len(newest), 0, -1)
            known = newest >= 0
            scores = vectors @ (vectors[newest[known]].T @ weight[known])
            had = row[begin:place]
            if repeats == "across_sessions":
                had = had[session[begin:place] == session[place]]
            if repeats != "anywhere":
                scores[had[had >= 0]] = -np.inf
            scores[~allowed] = -np.inf
            best = np.argsort(-scores, kind="stable")[:k]
            found.append(catalogue[best[np.isfinite(scores[best])]].tolist())
        return found

    return answer


def item_vectors(items: pd.DataFrame, kinds: Mapping[str, str]) -> sp.csr_matrix:
    """Returns TF-IDF vectors of length one: [N, values]; nothing where no feature is known.

    Args:
        items: N lines, with the features; of multi-valued ones text between `|`.
        kinds: of the features, by name; numeric ones are left out.
    """
    parts = []
    for name, kind in kinds.items():
        if kind == "numeric":
            continue
        text = items[name].fillna("").astype(str)
        values = text.str.split("|") if kind == "multi" else text.map(lambda one: [one])
        flat = values.reset_index(drop=True).explode()
        flat = flat[flat.notna() & (flat != "")]
        code, _ = pd.factorize(flat)
        shape = len(items), int(code.max(initial=-1)) + 1
        parts.append(sp.csr_matrix((np.ones(len(flat)), (flat.index.to_numpy(), code)), shape))
    count = sp.hstack(parts).tocsr()
    frequency = np.asarray((count > 0).sum(axis=0)).ravel()
    weighed = count @ sp.diags(np.log(len(items) / np.maximum(frequency, 1)) + 1e-9)
    length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    return (sp.diags(1 / np.maximum(length, 1e-12)) @ weighed).tocsr()
