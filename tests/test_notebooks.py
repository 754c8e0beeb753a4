"""Every notebook runs in a fresh kernel of this environment, and shows what is stored."""

from pathlib import Path

import pytest
from notebook import executed, shown, stored

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_its_outputs(path: Path) -> None:
    """A reader on a forge sees the tables and figures."""
    assert path.stat().st_size < 250_000
    assert any(shown(stored(path)))


@pytest.mark.notebook
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_shows_now(path: Path) -> None:
    """``python tests/notebook.py notebooks/NAME.ipynb`` stores it anew."""
    pytest.importorskip("nbclient")
    assert shown(executed(path)) == shown(stored(path))
