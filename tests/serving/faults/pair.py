"""A servable and an index of one model, small and without training, so that both servers start fast."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.synthetic import Tensors, save_version
from tests.serving.servables import INT_IDS, Staged
from tfrec.index.building import build_index
from tfrec.index.folder import write_index
from tfrec.index.ids import ItemIds
from tfrec.index.info import IndexInfo
from tfrec.index.segment import Segment, column_of

SPACE = 7
NAME = "tiny"


class Spaced(Staged):
    """`Staged`, whose `encode` says in whose space it embeds, as that of a trained model does."""

    def encode(self, inputs: Tensors) -> Tensors:
        outputs = super().encode(inputs)
        return outputs | {"space": tf.fill([tf.shape(inputs["length"])[0]], tf.constant(SPACE, tf.int64))}


def write_servable(folder: Path, version: int = 1) -> Path:
    """Writes `folder/<version>/`, a servable of `INT_IDS`."""
    return save_version(Spaced(INT_IDS, version), folder)


def write_pair_index(folder: Path, version: int = 1, ids: Sequence[int] = INT_IDS) -> Path:
    """Writes `folder/<version>/`, an index of that model, which can be filtered by `colour`."""
    table = Spaced(ids, 1).table.numpy()
    info = IndexInfo(
        name=folder.name,
        version=version,
        kind="exact",
        space=SPACE,
        item_id_type="int64",
        dimensions=table.shape[1],
        items=0,
        columns=("colour",),
    )
    colours = column_of([("red", "blue", None)[place % 3] for place in range(len(ids))])
    count, new = np.arange(len(ids))[::-1].copy(), np.zeros(len(ids), bool)
    base = Segment(ItemIds(np.array(ids)), table, count, new, {"colour": colours})
    none = np.zeros((0, table.shape[1]), np.float32)
    return write_index(build_index(info, base, none), folder)
