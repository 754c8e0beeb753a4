"""Arrays of shapes that broadcast, as rows for a compiled loop: nothing is repeated in memory.

An array that is the same along an axis has a step of 0 there. Axes that lie behind one another in
every array are one axis; what is left is rows along the last axis, and steps from row to row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Layout:
    """Doubles that broadcast, seen as rows.

    Attributes:
        arrays: the inputs; they keep the memory alive.
        shape: of the result.
        outer: lengths of the axes before the last.
        length: of a row.
        steps: for every outer axis, the step of every input in elements.
        varying: whether an input changes along a row, where its step is then 1; else 0.
    """

    arrays: tuple[Array, ...]
    shape: tuple[int, ...]
    outer: tuple[int, ...]
    length: int
    steps: tuple[tuple[int, ...], ...]
    varying: tuple[bool, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(np.prod(self.outer, dtype=np.int64))


def layout(values: Sequence[Any]) -> Layout:
    """The layout of some values; only inputs that are no doubles in order are copied.

    Raises:
        ValueError: shapes that do not broadcast.
    """
    arrays = [np.require(value, dtype=np.float64, requirements="A") for value in values]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    merged = _merged(arrays, shape)
    for i, step in enumerate(merged[-1][1]):
        if step not in (0, 1):
            arrays[i] = _packed(arrays[i])
            merged = _merged(arrays, shape)
    *outer, (length, steps) = merged
    return Layout(
        arrays=tuple(arrays),
        shape=shape,
        outer=tuple(count for count, _ in outer),
        length=length,
        steps=tuple(each for _, each in outer),
        varying=tuple(step == 1 for step in steps),
    )


def _merged(arrays: list[Array], shape: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
    """Lengths and steps of the axes, with those that are one in every array merged."""
    views = [np.broadcast_to(array, shape) for array in arrays]
    found: list[tuple[int, tuple[int, ...]]] = []
    for axis, count in enumerate(shape):
        steps = tuple(view.strides[axis] // view.itemsize for view in views)
        if count == 1:
            continue
        if found and all(a == b * count for a, b in zip(found[-1][1], steps, strict=True)):
            found[-1] = found[-1][0] * count, steps
        else:
            found.append((count, steps))
    return found or [(1, (0,) * len(arrays))]


def _packed(array: Array) -> Array:
    """A copy in order, of one element along axes where all are the same."""
    single = tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)
    return np.ascontiguousarray(array[single])
