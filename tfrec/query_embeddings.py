"""The queries that a model makes of users' events."""

import numpy as np
import tensorflow as tf

from tfrec.batches import pack_windows
from tfrec.dataset import Dataset
from tfrec.prediction import query_windows, row_steps
from tfrec.trained import TrainedModel


def query_embeddings(
    trained: TrainedModel, dataset: Dataset, most: int, *, role: str = "val", quiet: bool = False
) -> np.ndarray:
    """Returns the embeddings of queries, in random order: [Q, D + 1] float32.

    Args:
        trained: the model.
        dataset: of its log.
        most: how many; of more, some are drawn.
        role: of the queried events.
        quiet: no progress bar.
    """
    dataset = dataset.in_rows_of(trained.facts)
    positions = np.flatnonzero(dataset.sequences.is_role(role))
    random = np.random.default_rng(0)
    positions = np.sort(random.permutation(positions)[:most])
    if not len(positions):
        return np.zeros((0, trained.model.spec.settings.dimensions + 1), np.float32)
    places = trained.model.spec.settings.max_length + 1
    start, stop, first = query_windows(dataset.sequences.offsets, positions, places)
    rows = pack_windows(dataset.sequences, start, stop, places)
    wanted = np.zeros(len(dataset.sequences.item) + 1, bool)
    wanted[positions] = True
    asked = wanted[rows.position] & (rows.position >= np.append(first, 0)[rows.inputs["segment"] - 1])
    encode = tf.function(trained.model.__call__, autograph=False, jit_compile=True)
    found = [
        tf.gather_nd(encode(inputs, training=False).embedding, at).numpy()
        for inputs, at, _ in row_steps(rows, asked, "queries", quiet=quiet)
    ]
    return random.permutation(np.concatenate(found))
