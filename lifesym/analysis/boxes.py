"""Boxes of values that wait to be enclosed, and how they are cut."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]

_STEEP = 4  # an elasticity that is unbounded, at a kink, must not keep the others from being cut


@dataclass(frozen=True)
class Boxes:
    """Boxes that wait to be enclosed, each with the upper bound of the box it was cut from."""

    low: Array
    high: Array
    bounds: Array

    def take(self, most: int) -> tuple[Array, Array, "Boxes"]:
        """Those with the largest bounds, and the others."""
        order = np.argsort(-self.bounds, kind="stable")
        first, later = order[:most], order[most:]
        rest = Boxes(self.low[:, later], self.high[:, later], self.bounds[later])
        return self.low[:, first], self.high[:, first], rest

    def with_halves(
        self, low: Array, high: Array, bounds: Array, axes: Array, whole: Array
    ) -> "Boxes":
        """With more boxes, each cut in two along its axis; one that is a point stays one."""
        (low, lower_high), (upper_low, high) = halves(low, high, axes, whole)
        cut = (low < high).any(axis=0)
        return Boxes(
            np.concatenate([self.low, low, upper_low[:, cut]], axis=1),
            np.concatenate([self.high, lower_high, high[:, cut]], axis=1),
            np.concatenate([self.bounds, bounds, bounds[cut]]),
        )

    def above(self, goal: float) -> tuple[float, "Boxes"]:
        """The largest bound that is not above the goal, and the boxes whose bounds are."""
        keep = self.bounds > goal
        rest = Boxes(self.low[:, keep], self.high[:, keep], self.bounds[keep])
        return float(self.bounds[~keep].max(initial=0.0)), rest


def steepest(low: Array, high: Array, least: Array, most: Array) -> Array:
    """For each box the variable that can move the share most, by the elasticities' bounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.where(low > 0, np.log(high / low), np.where(high > low, 50.0, 0.0))
    steep = np.fmin(np.maximum(np.abs(least), np.abs(most)), _STEEP)
    influence = np.nan_to_num(steep * width, nan=0.0)
    axes: Array = np.where(high > low, influence + 1e-300, -1.0).argmax(axis=0)
    return axes


def halves(
    low: Array, high: Array, axes: Array | int, whole: Array
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Each box in two along its axis: the lower corners and upper corners of both.

    Of an axis of whole numbers the two have none in common.
    """
    column = np.arange(low.shape[1])
    a, b = low[axes, column], high[axes, column]
    cut = np.where((a > 0) & (b > 4 * a), np.sqrt(a) * np.sqrt(b), (a + b) / 2)
    steps = whole[axes]
    lower_high, upper_low = high.copy(), low.copy()
    lower_high[axes, column] = np.clip(np.where(steps, np.floor(cut), cut), a, b)
    upper_low[axes, column] = np.clip(np.where(steps, np.floor(cut) + 1, cut), a, b)
    return (low, lower_high), (upper_low, high)
