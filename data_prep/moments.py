"""Mean and deviation of numbers, the same to the last bit in whatever order and parts they come."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

import numpy as np

MANTISSA_BITS = 24
LEAST_EXPONENT = -148
"""Of float32 as `frexp` splits it, subnormal numbers included; the largest is 128."""
HALF = 1 << MANTISSA_BITS


@dataclass(frozen=True)
class Moments:
    """Sums without rounding.

    Attributes:
        count: of numbers.
        total: their sum.
        squares: the sum of their squares.
    """

    count: int
    total: Fraction
    squares: Fraction

    @classmethod
    def of(cls, numbers: np.ndarray) -> "Moments":
        """Returns those of the finite ones of [E] float32, E below 2²⁹."""
        fraction, exponent = np.frexp(numbers[np.isfinite(numbers)].astype(np.float64))
        whole = fraction * HALF  # integers of 24 bits, whose sums a float64 holds as they are
        square = whole * whole
        upper = np.floor(square / HALF)
        lower = square - upper * HALF
        place = exponent - LEAST_EXPONENT
        total = _weighed(place, whole)
        squares = _weighed(place, upper, power=2) * HALF + _weighed(place, lower, power=2)
        return cls(len(place), total / HALF, squares / HALF**2)

    @classmethod
    def together(cls, parts: "Sequence[Moments]") -> "Moments":
        """Returns those of all parts."""
        return cls(
            sum(part.count for part in parts),
            sum((part.total for part in parts), Fraction()),
            sum((part.squares for part in parts), Fraction()),
        )

    @property
    def mean(self) -> float:
        """Of no number 0."""
        return float(self.total / self.count) if self.count else 0.0

    @property
    def std(self) -> float:
        """Of the numbers as the whole population; of none 0."""
        if not self.count:
            return 0.0
        return sqrt(self.squares / self.count - (self.total / self.count) ** 2)


def _weighed(place: np.ndarray, mantissa: np.ndarray, power: int = 1) -> Fraction:
    """The sum of mantissas, each times two to the power of its exponent, or of twice its exponent."""
    sums = np.bincount(place, weights=mantissa)
    powers = (Fraction(2) ** (power * (at + LEAST_EXPONENT)) for at in range(len(sums)))
    return sum((int(s) * scale for s, scale in zip(sums, powers, strict=True) if s), Fraction())
