"""A catalogue of any size with the shape of a trained model's, and queries of its users."""

from pathlib import Path

import numpy as np

from tfrec.dataset import Dataset
from tfrec.query_embeddings import query_embeddings
from tfrec.schema import FIRST_ROW
from tfrec.trained import TrainedModel

NEIGHBOURS = 10
NOISE = 0.3
"""of what lies between neighbours, in each dimension"""
QUERIES = 2000


def points(model_folder: Path, items: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns candidates [items, D + 1] and queries [Q, D + 1] float32.

    The model's own items come first; each further one lies at random between one of them and one of its
    nearest neighbours (as in SMOTE, Chawla et al. 2002), and a little beside. Queries are of val events.

    Args:
        model_folder: what `tfrec train` has written; its dataset lies where it lay.
        items: how many candidates.
        seed: of what is drawn.
    """
    trained = TrainedModel.load(model_folder)
    table = trained.model.candidate_tower.table().numpy()[FIRST_ROW:]
    dataset = Dataset.load(trained.dataset_folder(model_folder))
    queries = query_embeddings(trained, dataset, QUERIES)
    return np.concatenate([table, between(table, items - len(table), seed)])[:items], queries


def between(table: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Returns points [count, D] between rows of a table [N, D] and their neighbours."""
    random = np.random.default_rng(seed)
    near = _nearest(table)
    first = random.integers(0, len(table), max(count, 0))
    second = near[first, random.integers(0, near.shape[1], len(first))]
    step = table[second] - table[first]
    spread = NOISE * (table[near[:, 0]] - table).std(axis=0)
    found = table[first] + random.random((len(first), 1), np.float32) * step
    found += random.standard_normal(found.shape, np.float32) * spread
    return found.astype(np.float32)


def _nearest(table: np.ndarray) -> np.ndarray:
    """[N, NEIGHBOURS] the rows with the smallest distance, itself left out."""
    squares = (table**2).sum(axis=1)
    found = []
    for at in range(0, len(table), 1000):
        distance = squares[None] - 2 * table[at : at + 1000] @ table.T
        distance[np.arange(len(distance)), at + np.arange(len(distance))] = np.inf
        found.append(np.argpartition(distance, NEIGHBOURS, axis=1)[:, :NEIGHBOURS])
    return np.concatenate(found)
