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
from lifesym.errors import SymbolError
from lifesym.symbols import Size, size

Label = Literal["vision", "audio"]
MOST_PIXELS = 2**20
"""Pixels of an image's longest side."""


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


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a tower is given with every prompt.

    Attributes:
        tower: the tower.
        pieces: how many images, or pieces of audio.
        grid: what each of them becomes.
    """

    tower: Tower
    pieces: Expr
    grid: Grid


def see(
    name: str,
    towers: tuple[Tower, ...],
    label: Label,
    pieces: Size,
    pixels: int | tuple[int, int] | None = None,
) -> tuple[Seen, ...]:
    """What a model's tower is given with so many images or pieces of audio; nothing of none.

    Raises:
        SymbolError: not a number of them, no tower for them, or an image's size that is missing,
            not a size, or given without images.
    """
    what = {"vision": "images", "audio": "audio"}[label]
    number = size(pieces, what, minimum=0)
    if number.is_zero:
        if pixels is not None:
            raise SymbolError("image_size needs images")
        return ()
    tower = next((each for each in towers if each.label == label), None)
    if tower is None:
        raise SymbolError(f"{name} has no {label} tower that is modelled: leave out {what}")
    shape = tower.size if pixels is None else pixels
    if shape is None:
        raise SymbolError(f"{name} sees images of any size: give image_size")
    height, width = (shape, shape) if isinstance(shape, int) else shape
    sides = [size(side, "image_size") for side in (height, width)]
    if not all(side.is_Integer and side <= MOST_PIXELS for side in sides):
        raise SymbolError(f"image_size must be whole numbers up to {MOST_PIXELS}")
    return (Seen(tower=tower, pieces=number, grid=tower.rule(int(sides[0]), int(sides[1]))),)


def is_tower(section: str) -> bool:
    """Whether a section of a trace is a tower's."""
    return section.startswith(("vision ", "audio "))


def told(seen: Seen) -> str:
    """What an answer says of images and audio: how many tokens of the prompt they are."""
    grid, label = seen.grid, seen.tower.label
    each = {"vision": "image", "audio": "audio"}[label]
    crops = f"{grid.crops} crops of " if grid.crops > 1 else ""
    shape = f" ({crops}{grid.rows} x {grid.columns} patches an image)" if label == "vision" else ""
    return f"the prompt has {seen.pieces} x {grid.tokens} {each} tokens beside the text{shape}"
