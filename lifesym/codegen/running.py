"""What an error analysis carries along: a format, and an interval with the errors of its value."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A format: unit roundoff, largest and smallest normal numbers, exact whole numbers."""

    name: str
    roundoff: float
    largest: float
    smallest: float
    whole: float


@dataclass(frozen=True, slots=True)
class Range:
    """An interval, and how far its computed value can be off.

    Attributes:
        low: least value.
        high: largest value.
        error: bound of the absolute error.
        relative: bound of the relative error; infinite where there is none.
        least: below every value's size but zero's.
    """

    low: float
    high: float
    error: float = 0.0
    relative: float = 0.0
    least: float = 0.0

    @property
    def size(self) -> float:
        """The largest absolute value."""
        return max(abs(self.low), abs(self.high))

    @property
    def nearest(self) -> float:
        """The smallest absolute value."""
        return max(self.low, -self.high, 0.0)

    @property
    def signed(self) -> int:
        """1 where nothing is negative, -1 where nothing is positive, else 0."""
        return 1 if self.low >= 0 else -1 if self.high <= 0 else 0

    def rounded(self, kind: Arithmetic) -> "Range":
        """After a rounding to the nearest."""
        unit = kind.roundoff * 1.01
        error = self.error + (self.size + self.error) * unit
        relative = self.relative + (1 + self.relative) * unit
        return Range(self.low, self.high, error, relative, self.least)

    def underflown(self, kind: Arithmetic) -> "Range":
        """After values below the normal numbers may have become zero."""
        if self.least >= kind.smallest:
            return self
        lost = kind.smallest
        relative = self.relative + lost / self.least if self.least > 0 else math.inf
        return Range(self.low, self.high, self.error + lost, relative, self.least)

    def settled(self) -> "Range":
        """With each of the two errors no larger than the other allows."""
        error = min(self.error, self.relative * self.size) if self.size else self.error
        nearest = self.nearest
        relative = min(self.relative, error / nearest) if nearest > 0 else self.relative
        return Range(self.low, self.high, error, relative, max(self.least, nearest))
