"""Which items of a catalogue new ones are like, by the values of features that they share."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from tfrec.index.exact import best_of
from tfrec.schema import FIRST_ROW, ItemFeature
from tfrec.vocabulary import Vocabulary

MOST = 30
_CELLS = 2**24  # similarities held at a time


def similar_items(
    new: pd.DataFrame,
    catalogue: pd.DataFrame,
    features: Sequence[ItemFeature],
    vocabularies: Mapping[str, Vocabulary],
    most: int = MOST,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the places in the catalogue [A, M] int64 of the items most like each, and how like: float32.

    An item is the vector of its features' values, each weighed by the inverse of its frequency; likeness is
    the cosine, 0 where two have nothing in common (TF-IDF; Salton and Buckley 1988). Numbers are left out.

    Args:
        new: A lines with the features.
        catalogue: N lines with the same.
        features: of the schema.
        vocabularies: of the features; what they do not know counts for nothing.
        most: M, or all of a smaller catalogue.
    """
    told = [feature for feature in features if feature.kind != "numeric"]
    counts = [
        sp.hstack([_counts(frame[feature.name], vocabularies[feature.name]) for feature in told]).tocsr()
        if told
        else sp.csr_matrix((len(frame), 1))
        for frame in (new, catalogue)
    ]
    frequency = np.asarray((counts[1] > 0).sum(axis=0)).ravel()
    weight = sp.diags(np.log((1 + len(catalogue)) / (1 + frequency)))
    one, other = (_of_length_one(count @ weight) for count in counts)
    most = min(most, len(catalogue))
    step = max(1, _CELLS // max(len(catalogue), 1))
    places, likeness = [np.zeros((0, most), np.int64)], [np.zeros((0, most), np.float32)]
    for begin in range(0, len(new), step):
        best, like = best_of((one[begin : begin + step] @ other.T).toarray().astype(np.float32), most)
        places.append(best)
        likeness.append(like)
    return np.concatenate(places), np.concatenate(likeness)


def _counts(column: pd.Series, vocabulary: Vocabulary) -> sp.csr_matrix:
    """How often an item has each value: [items, values]."""
    values = column.reset_index(drop=True).explode().dropna()
    row = vocabulary.rows(values.to_numpy()) if len(values) else np.zeros(0, np.int64)
    known = row >= FIRST_ROW
    at = values.index.to_numpy(np.int64)[known], row[known]
    return sp.csr_matrix((np.ones(known.sum()), at), (len(column), vocabulary.size))


def _of_length_one(vectors: sp.csr_matrix) -> sp.csr_matrix:
    length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    return (sp.diags(1 / np.maximum(length, 1e-12)) @ vectors).tocsr()
