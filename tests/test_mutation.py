"""The tests can fail: a wrong coefficient is reported by the comparison with the truth."""

import dataclasses

import pytest
from test_truth import compare

from lifesym.blocks import Attention
from lifesym.cost import Cost
from lifesym.formats import Precision
from lifesym.operators import AttentionScores, Embedding, KVAppend, Linear, attention, linear

DENSE_MODEL, WINDOWED_MODEL = "tiny-llama-0", "Gemma-2-9B"
ONE_OF_EACH = (DENSE_MODEL, WINDOWED_MODEL, "GPT-2", "OPT-6.7B", "Mixtral-8x7B", "DeepSeek-V3")


def kinds(name: str) -> set[str]:
    """What a comparison complains about: the last words of each difference."""
    return {what.split()[-1] for what, _, _ in compare(name)[2]}


def test_nothing_differs_without_a_mutation() -> None:
    assert kinds(DENSE_MODEL) == kinds(WINDOWED_MODEL) == set()


@pytest.mark.parametrize("module", [linear, attention], ids=lambda module: module.__name__)
def test_a_multiply_add_of_one_operation(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLOPS_PER_MAC", 1)
    records, _, different = compare(DENSE_MODEL)
    assert 0 < len(different) <= 2 * records
    assert kinds(DENSE_MODEL) == {"flops_total", "operator"}


@pytest.mark.parametrize("operator", [Linear, AttentionScores])
def test_one_doubled_coefficient(operator: type, monkeypatch: pytest.MonkeyPatch) -> None:
    right = operator.cost

    def doubled(self: object, precision: Precision) -> Cost:
        cost = right(self, precision)
        return dataclasses.replace(cost, matmul_flops=2 * cost.matmul_flops)

    monkeypatch.setattr(operator, "cost", doubled)
    assert all("flops_total" in kinds(name) for name in ONE_OF_EACH)


def test_half_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    right = KVAppend.__post_init__

    def halved(self: KVAppend) -> None:
        right(self)
        object.__setattr__(self, "elements", self.elements / 2)

    monkeypatch.setattr(KVAppend, "__post_init__", halved)
    assert kinds(DENSE_MODEL) == {"token"}
    assert {what for what, _, _ in compare(WINDOWED_MODEL)[2]} >= {"KV a token", "KV of 8192"}


def test_a_window_one_token_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Attention.attended

    def longer(self: Attention, step: object) -> object:
        window = None if self.window is None else self.window + 1
        return right(dataclasses.replace(self, window=window), step)

    monkeypatch.setattr(Attention, "attended", longer)
    assert "flops_total" in kinds(WINDOWED_MODEL)
    assert kinds(DENSE_MODEL) == set()


def test_parameters_off_by_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Embedding.matrices.fget
    longer = property(
        lambda self: tuple(dataclasses.replace(m, rows=m.rows + 1) for m in right(self))
    )
    monkeypatch.setattr(Embedding, "matrices", longer)
    assert kinds(DENSE_MODEL) == {"parameters"}
