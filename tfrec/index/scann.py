"""Approximate search by ScaNN (Guo et al. 2020), without TensorFlow."""

import functools
import importlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfrec.errors import DataError, MissingExtraError, SettingsError
from tfrec.index.exact import Found, best_of
from tfrec.index.info import ScannSettings

LEAST_ITEMS = 16
"""ScaNN learns 16 codes for each pair of dimensions, and wants as many points."""
EXACT_BELOW = 20_000
LEAVES_FROM = 100_000
INT8_FROM = 500_000
TRAINING_SAMPLE = 250_000
ANISOTROPIC_THRESHOLD = 0.2
"""The share of a candidate's length beyond which a query's errors count more; ScaNN's own choice for the dot
product."""


def guided(items: int) -> ScannSettings:
    """Returns settings by the catalogue's size, after ScaNN's own guidance.

    All candidates are looked at below 100,000; beyond, √N leaves, of which a query searches a twentieth. From
    half a million on, scores are worked out again in a byte a dimension.

    Source: docs/algorithms.md of google-research/scann.
    """
    leaves = int(items**0.5) if items >= LEAVES_FROM else 0
    return ScannSettings(
        leaves=leaves,
        leaves_to_search=math.ceil(leaves / 20),
        reorder=min(items, 1000),
        precision="int8" if items >= INT8_FROM else "float32",
    )


class ScannSearch:
    """A ScaNN searcher and how it is asked.

    Args:
        searcher: ScaNN's.
        settings: how it was built, and is searched.
    """

    def __init__(self, searcher: Any, settings: ScannSettings) -> None:
        self._searcher = searcher
        self.settings = settings

    def search(self, queries: NDArray[np.float32], k: int, effort: int = 0) -> Found:
        """Returns up to k rows [Q, k] and their scores; other threads run meanwhile.

        Args:
            queries: [Q, D + 1] float32.
            k: how many.
            effort: each further one searches four times the leaves.
        """
        size = self._searcher.size()
        k = min(k, size)
        leaves = min(self.settings.leaves_to_search * 4**effort, self.settings.leaves)
        # Of those that are found, an eighth at most may fall out when scores are worked out again.
        reorder = min(max(self.settings.reorder, k + k // 8), size)
        rows, scores = self._searcher.search_batched(
            queries, k, reorder, leaves if self.settings.leaves else None
        )
        # Where the leaves hold fewer, ScaNN says NaN.
        scores = np.where(np.isnan(scores), np.float32(-np.inf), scores)
        return best_of(scores, k, rows.astype(np.int64))

    def with_settings(self, settings: ScannSettings) -> "ScannSearch":
        """Returns the same searcher, searched otherwise."""
        return ScannSearch(self._searcher, settings)

    def save(self, folder: Path) -> None:
        """Writes the searcher into a new folder, which can be moved."""
        folder.mkdir()
        self._searcher.serialize(str(folder), relative_path=True)

    @classmethod
    def load(cls, folder: Path, settings: ScannSettings) -> "ScannSearch":
        """Reads what `save` has written.

        Raises:
            DataError: it is damaged.
            MissingExtraError: there is no ScaNN.
        """
        if not (folder / "scann_assets.pbtxt").is_file():
            raise DataError(f"{folder} is no searcher of ScaNN. Build the index again.")
        try:
            return cls(_scann().load_searcher(str(folder), assets_backcompat_shim=False), settings)
        # ScaNN's own errors are plain ones of the C++ side.
        except (RuntimeError, ValueError, OSError, EOFError) as error:
            raise DataError(f"{folder} cannot be read by ScaNN: {error}. Build the index again.") from error

    @classmethod
    def build(cls, embedding: NDArray[np.float32], settings: ScannSettings, threads: int) -> "ScannSearch":
        """Learns partitions and codes.

        Args:
            embedding: [N, D + 1] float32.
            settings: of the search.
            threads: for learning.

        Raises:
            SettingsError: the catalogue is too small.
            MissingExtraError: there is no ScaNN.
        """
        items = len(embedding)
        if items < LEAST_ITEMS:
            raise SettingsError(
                f"ScaNN needs at least {LEAST_ITEMS} items, the catalogue has {items}. Use an exact index."
            )
        scann = _scann()
        builder = scann.builder(np.ascontiguousarray(embedding), 10, "dot_product")
        builder = builder.set_n_training_threads(threads)
        if settings.leaves:
            builder = builder.tree(
                num_leaves=settings.leaves,
                num_leaves_to_search=max(settings.leaves_to_search, 1),
                training_sample_size=min(items, TRAINING_SAMPLE),
            )
        builder = builder.score_ah(2, anisotropic_quantization_threshold=ANISOTROPIC_THRESHOLD)
        kinds = scann.scann_builder.ReorderType
        builder = builder.reorder(settings.reorder, quantize=kinds[settings.precision.upper()])
        return cls(builder.build(), settings)


@functools.cache
def _scann() -> Any:
    """ScaNN's searchers.

    Its package imports TensorFlow wherever that is installed, for ops that are not used here: seconds, and
    hundreds of megabytes. Where nobody has imported TensorFlow yet, it is hidden meanwhile, and ScaNN's
    package forgotten, so that those who want its ops can still import it.
    """
    hidden = "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("scann.scann_ops.py.scann_ops_pybind")
    except ImportError as error:
        raise MissingExtraError("index", "retrieval", "scann") from error
    finally:
        if hidden:
            del sys.modules["tensorflow"]
            for name in [name for name in sys.modules if name.split(".")[0] == "scann"]:
                del sys.modules[name]
