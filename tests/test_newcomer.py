"""README and the tutorials as a newcomer types them, in an empty folder."""

from pathlib import Path

import pytest
from typed import typed

ROOT = Path(__file__).parent.parent
FILE = "Save this as `two.c`:\n\n```c\nint two = 2;\n```\n"
SHELL = "```console\n$ cat \\\n    two.c\nint two = 3;\n$ export x=1\n$ echo $x 2>&1\n1\n```\n"
PYTHON = "```python\n>>> for i in range(2):\n...     i\n0\n2\n>>> i\n1\n```\n"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]


def test_what_is_typed_is_answered(tmp_path: Path) -> None:
    """By sessions that stay open, with files that are saved; wrong answers are put right."""
    page = FILE + SHELL + "text 3\n" + PYTHON
    right = FILE + SHELL.replace("3", "2") + "text 3\n" + PYTHON.replace("\n2\n", "\n1\n")
    assert typed(page, tmp_path) == right
    assert typed(right, tmp_path) == right


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_prints_what_it_shows(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    text = page.read_text(encoding="utf-8")
    fresh = typed(text, tmp_path)
    if request.config.getoption("--update-golden"):
        page.write_text(fresh, encoding="utf-8")
        text = fresh
    assert text == fresh, "pytest --update-golden writes what is printed now"
