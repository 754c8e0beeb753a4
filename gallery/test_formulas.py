"""Every published formula of `formulas` has the verdict that is said of it."""

import pytest
from formulas import FORMULAS, Published

from lifesym.analysis.agreement import compare


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
