"""Useful multiply-adds of a training step, counted from its shapes, and the machine's peak.

Forward, for a step whose windows have n places each (one a request, the window's start included):

    dense layers   Σ n · (blocks · (4 D² + 3 D F) + D²)
                   queries, keys, values and output; SwiGLU's three products of F hidden units; the
                   projection of the state into the space of candidates
    attention      Σ n (n + 1) / 2 · blocks · 2 D
                   Q Kᵀ and the weighted sum of values, at the places that causal attention sees
    scores         Σ n · C · (D + 1)
                   C candidates a request, embeddings with the bias as one more dimension

Backward costs twice the forward pass, since every product has two gradients. What only fills the shapes
(padding, places that attention masks, masked columns of scores) is not useful and is not counted, nor is
what is no product: norms, softmax, look-ups, pairwise terms, the optimizer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

BACKWARD = 2
FLOPS_A_MULTIPLY_ADD = 2
SIDE = 2048
"""Rows and columns of the matrices whose product is the peak: 16 MB each, larger than a core's cache."""


@dataclass(frozen=True)
class Shape:
    """What a step's multiply-adds depend on beside its windows.

    Attributes:
        dimensions: D.
        blocks: Transformer blocks.
        feed_forward: F.
        candidates: C.
    """

    dimensions: int
    blocks: int
    feed_forward: int
    candidates: int


def forward_multiply_adds(places: np.ndarray, shape: Shape) -> int:
    """Returns the useful multiply-adds of a forward pass.

    Args:
        places: [W] how many each window of the step has.
        shape: of the model.
    """
    d, total = shape.dimensions, int(places.sum())
    dense = total * (shape.blocks * (4 * d**2 + 3 * d * shape.feed_forward) + d**2)
    attention = int((places * (places + 1) // 2).sum()) * shape.blocks * 2 * d
    scores = total * shape.candidates * (d + 1)
    return dense + attention + scores


def step_flops(places: np.ndarray, shape: Shape) -> int:
    """Returns the useful floating-point operations of a whole step, forward and backward."""
    return FLOPS_A_MULTIPLY_ADD * (1 + BACKWARD) * forward_multiply_adds(places, shape)


def window_places(segment: np.ndarray) -> np.ndarray:
    """Returns how many places each window of packed rows has: [W].

    Args:
        segment: [B, P] the window's number at each place; 0 is padding.
    """
    return np.unique(segment[segment > 0], return_counts=True)[1]


def peak_flops(tries: int = 12) -> float:
    """Returns the float32 operations a second of the best matrix product, of numpy's and TensorFlow's."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    a, b = (random.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
    x, y = tf.constant(a), tf.constant(b)
    products: list[Callable[[], Any]] = [lambda: a @ b, lambda: tf.matmul(x, y).numpy()]
    best = min(_seconds(product) for product in products for _ in range(tries))
    return FLOPS_A_MULTIPLY_ADD * SIDE**3 / best


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
