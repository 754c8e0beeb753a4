"""README and the tutorials as a newcomer types them, in an empty folder."""

from pathlib import Path

import pytest
from typed import typed

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]


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
