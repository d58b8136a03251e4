"""What is counted in a log that several workers have parts of."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from tfrec.config import Settings
from tfrec.distribution.workers import Workers


class Alone:
    """Sums where one process has all of the log."""

    index = 0
    parts = 1

    def total(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum over all parts of an array of the same shape."""
        return values

    def most(self, value: int) -> int:
        """Returns the largest of all parts."""
        return value

    def matrices(self, matrices: Sequence[sp.csr_matrix]) -> list[sp.csr_matrix]:
        """Returns the sums over all parts of matrices of the same shapes."""
        return list(matrices)


class Together(Alone):
    """Sums over the parts of several workers, who come here together.

    Args:
        workers: of whom each has a part of the log.
    """

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.index = workers.index
        self.parts = workers.count

    def total(self, values: np.ndarray) -> np.ndarray:
        return self.workers.sum(values)

    def most(self, value: int) -> int:
        return int(self.workers.stacked(np.array([value], np.int64)).max())

    def matrices(self, matrices: Sequence[sp.csr_matrix]) -> list[sp.csr_matrix]:
        return [self._matrix(matrix) for matrix in matrices]

    def _matrix(self, matrix: sp.csr_matrix) -> sp.csr_matrix:
        cells = matrix.tocoo()
        room = self.most(cells.nnz)
        row, column, weight = (
            np.pad(part, (0, room - cells.nnz)) for part in (cells.row, cells.col, cells.data)
        )
        every = [self.workers.stacked(part).ravel() for part in (row, column, weight)]
        summed = sp.csr_matrix((every[2], (every[0], every[1])), matrix.shape)
        summed.eliminate_zeros()
        return summed


def parts_of_the_log(settings: Settings, workers: Workers) -> Alone:
    """Returns the sums of a run: over parts where workers share the users."""
    return Together(workers) if settings.training.share_users and workers.count > 1 else Alone()
