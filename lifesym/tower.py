"""Towers of multimodal models: what turns images or audio into tokens of the prompt.

A tower's blocks are those of any encoder. How many positions each of them sees follows from the
image: its crops, and the rows and columns of patches in one of them, which are symbols until an
image is given. Its weights are in memory always; its pass runs in the prefill, of images alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sympy import Expr, Integer, Symbol

from lifesym import symbols as sym
from lifesym.blocks import Block
from lifesym.symbols import Size

Label = Literal["vision", "audio"]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What an image becomes.

    Attributes:
        rows: patches from top to bottom of a crop; the frames of a piece of audio.
        columns: patches from left to right of a crop.
        tokens: tokens that the image adds to the prompt.
        crops: pieces of the image that the tower sees, each by itself.
    """

    rows: int
    columns: int
    tokens: int
    crops: int = 1

    @property
    def values(self) -> dict[Symbol, Expr]:
        """The symbols of a tower's sizes that an image decides."""
        return {
            sym.patch_rows: Integer(self.rows),
            sym.patch_columns: Integer(self.columns),
            sym.crops: Integer(self.crops),
        }


Rule = Callable[[int, int], Grid]
"""From the rows and columns of an image's pixels to what it becomes."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A block of a tower, how often it runs, and the positions that it sees.

    Attributes:
        label: its name in the tower.
        count: how many times it runs, each with weights of its own.
        block: the block.
        positions: positions of a sequence.
        sequences: sequences of an image.
    """

    label: str
    count: Size
    block: Block
    positions: Size
    sequences: Size = sym.crops


@dataclass(frozen=True, kw_only=True)
class Tower:
    """A part of a model that makes tokens of images or audio.

    Attributes:
        label: what it sees; its sections and the roles of its weights begin with it.
        stages: its blocks in order.
        rule: what an image of so many rows and columns of pixels becomes.
        size: rows and columns of an image that has no size given; None where one must be.
    """

    label: Label
    stages: tuple[Stage, ...]
    rule: Rule
    size: tuple[int, int] | None = None


def is_tower(section: str) -> bool:
    """Whether a section of a trace is a tower's."""
    return section.startswith(("vision ", "audio "))
