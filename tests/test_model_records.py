"""Models, their work and their shares are what was recorded: `python tests/model_records.py`."""

import pytest
from model_records import facts, recorded

from lifesym.specs import names

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("name", names("models"))
def test_a_model_is_as_recorded(name: str) -> None:
    assert facts(name) == recorded()[name]
