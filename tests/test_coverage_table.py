"""The table of known and refused classes is that of now, and no causal class lacks a reason."""

import pytest
from coverage_table import FILE, written

import lifesym as ls
from lifesym.errors import SpecError
from lifesym.families import MODEL_TYPES
from lifesym.families.classes import classes
from lifesym.multimodal import WRAPPERS
from lifesym.report.database import entry

pytestmark = pytest.mark.fast


def known() -> set[str]:
    return {*MODEL_TYPES, *WRAPPERS}


def test_the_table_is_of_now() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert text == written(text), "python tests/coverage_table.py"


def test_every_causal_class_is_known_or_refused_with_a_reason() -> None:
    assert set(classes().causal) - known() <= set(classes().refused)


def test_most_classes_since_2024_are_known() -> None:
    recent = {kind for kind, year in classes().causal.items() if year >= 2024}
    assert len(recent & known()) >= 0.7 * len(recent)


@pytest.mark.parametrize("kind", ["blt", "moshi"])
def test_a_refused_type_says_why(kind: str) -> None:
    reason = classes().refused[kind]
    for config in ({"model_type": kind}, {"model_type": kind, "text_config": {}}):
        with pytest.raises(SpecError, match=reason):
            ls.Model.from_hf(config)


def test_a_family_says_what_it_was_compared_with() -> None:
    release = classes().release
    assert entry("exaone")["compared with"] == f"its class in transformers {release}"
    assert entry("qwen3_vl")["compared with"] == f"its class in transformers {release}"
    assert "checkpoints" in entry("chatglm")["compared with"]
