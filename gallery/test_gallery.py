"""Every published formula and number has the verdict that is said of it."""

import pytest
from base import GALLERY, SAID, Number, Published, numbers, works
from formulas import FORMULAS
from literature import PAGE, page
from notebook import executed, shown, stored

from lifesym.analysis.agreement import compare

NUMBERS = [number for work in works() for number in numbers(work)]


@pytest.mark.parametrize("each", FORMULAS, ids=lambda each: f"{each.work}: {each.what}")
def test_a_published_formula_has_its_verdict(each: Published) -> None:
    found = compare(each.mine, each.theirs, each.over or None)
    if not each.over:
        assert found, found.difference
        assert found.conventions == each.conventions
        return
    assert found.verdict == "differs"
    assert found.share is not None
    assert found.share.upper <= each.within
    assert each.reason


@pytest.mark.parametrize("each", NUMBERS, ids=lambda each: f"{each.work}: {each.what}")
def test_a_published_number_is_as_near_as_is_said(each: Number) -> None:
    assert abs(each.off()) <= each.within
    assert each.reason or each.within <= SAID, "why is it so far off?"


def test_the_page_is_the_gallerys() -> None:
    """``python gallery/literature.py`` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("work", works())
def test_a_notebook_is_stored_with_its_outputs(work: str) -> None:
    """A reader on a forge sees the tables and figures."""
    assert any(shown(stored(GALLERY / f"{work}.ipynb")))


@pytest.mark.notebook
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("work", works())
def test_a_notebook_shows_what_it_shows_now(work: str) -> None:
    """``python tests/notebook.py gallery/NAME.ipynb`` stores it anew."""
    pytest.importorskip("nbclient")
    path = GALLERY / f"{work}.ipynb"
    assert shown(executed(path)) == shown(stored(path))
