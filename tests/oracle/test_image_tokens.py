"""What an image becomes: the rules of the towers against the real image processors' functions."""

from math import isqrt
from random import Random

import pytest

from lifesym.towers.gemma4 import Budget
from lifesym.towers.pixtral import Rows
from lifesym.towers.qwen import Resized
from lifesym.towers.tiled import InternTiles, LlamaTiles

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("torchvision")  # the processors are made of it

from transformers.image_utils import SizeDict  # noqa: E402
from transformers.models.gemma4.image_processing_gemma4 import (  # noqa: E402
    get_aspect_ratio_preserving_size,
)
from transformers.models.got_ocr2.image_processing_got_ocr2 import (  # noqa: E402
    get_optimal_tiled_canvas,
)
from transformers.models.llama4.image_processing_llama4 import (  # noqa: E402
    find_supported_resolutions,
    get_best_fit,
)
from transformers.models.pixtral.image_processing_pixtral import (  # noqa: E402
    get_resize_output_image_size,
)
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


def images(name: str, count: int = 150) -> list[tuple[int, int]]:
    """Sizes of images: usual ones, tiny ones, long ones, and multiples of what rules round to."""
    rng = Random(name)
    sizes = [(rng.randint(1, 2500), rng.randint(1, 2500)) for _ in range(count)]
    sizes += [(rng.randint(1, 60), rng.randint(1, 60)) for _ in range(count // 3)]
    sizes += [(rng.randint(2, 30), rng.randint(300, 3000)) for _ in range(count // 5)]
    sizes += [(336 * rng.randint(1, 6), 448 * rng.randint(1, 6)) for _ in range(count // 5)]
    return [*sizes, (448, 448), (896, 896), (14, 14), (42, 70), (1540, 1540), (1080, 1920)]


@pytest.mark.parametrize(("patch", "least", "most"), [(14, 3136, 12845056), (16, 65536, 4194304)])
def test_sides_are_rounded_as_by_qwen(patch: int, least: int, most: int) -> None:
    rule = Resized(patch=patch, merge=2, least=least, most=most)
    for height, width in images("qwen"):
        area = height * width
        if max(height, width) > 200 * min(height, width) or isqrt(area) ** 2 == area:
            continue  # refused; or a root that is rational, which their floats may round up
        sides = smart_resize(height, width, 2 * patch, min_pixels=least, max_pixels=most)
        grid = rule(height, width)
        assert (grid.rows * patch, grid.columns * patch) == sides, (height, width)
        assert 4 * grid.tokens == grid.rows * grid.columns


@pytest.mark.parametrize(("longest", "patch", "merge"), [(1024, 16, 1), (1540, 14, 2)])
def test_images_are_shrunk_as_by_pixtral(longest: int, patch: int, merge: int) -> None:
    rule = Rows(longest=longest, patch=patch, merge=merge)
    for height, width in images("pixtral"):
        pixels = torch.zeros(3, height, width)
        unit = patch * merge
        sides = get_resize_output_image_size(pixels, (longest, longest), (unit, unit))
        grid = rule(height, width)
        assert (grid.rows * patch, grid.columns * patch) == tuple(sides), (height, width)
        assert grid.tokens == sides[0] // unit * (sides[1] // unit + 1)


def test_tiles_are_chosen_as_by_llama() -> None:
    rule = LlamaTiles(pixels=336, patches=24, each=144, most=16)
    canvases = find_supported_resolutions(16, SizeDict(height=336, width=336))
    for height, width in images("llama"):
        rows, columns = get_best_fit((height, width), torch.tensor(canvases))
        tiles = int(rows) // 336 * (int(columns) // 336)
        assert rule(height, width).crops == (1 if tiles == 1 else tiles + 1), (height, width)


def test_tiles_are_chosen_as_by_internvl() -> None:
    rule = InternTiles(pixels=448, patches=32, each=256, most=12)
    for height, width in images("internvl"):
        columns, rows = get_optimal_tiled_canvas((height, width), (448, 448), 1, 12)
        tiles = rows * columns
        assert rule(height, width).crops == (1 if tiles == 1 else tiles + 1), (height, width)


def test_budgets_are_kept_as_by_gemma() -> None:
    rule = Budget(patch=16, kernel=3, most=280)
    for height, width in images("gemma"):
        if max(height, width) >= 280 * min(height, width):
            continue
        sides = get_aspect_ratio_preserving_size(height, width, 16, 280 * 9, 3)
        grid = rule(height, width)
        assert (grid.rows * 16, grid.columns * 16) == sides, (height, width)
