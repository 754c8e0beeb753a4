"""Generated parts of the documentation are what the code generates."""

from pathlib import Path

import pytest

from lifesym.report.effects import COLUMNS, REWRITES, effects, effects_table

PAGE = Path(__file__).parent.parent / "docs" / "optimizations.md"
START, END = "<!-- effects -->\n", "<!-- /effects -->"


def test_table_of_effects(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    fresh = f"{before}{START}{effects_table()}\n{END}{after}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(fresh, encoding="utf-8")
    assert text == fresh, "pytest --update-golden writes it anew"


def test_every_optimization_changes_something() -> None:
    table = effects()
    assert set(REWRITES) <= set(table)
    for changes in table.values():
        assert len(changes) == len(COLUMNS)
        assert any(change != 0 for change in changes)
