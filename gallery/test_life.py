"""LIFE (arXiv 2508.00904v1): its tables, its equations, and what the comparison shows."""

import life
import pytest
from sympy import Integer, Rational, expand

import lifesym as ls
from lifesym import symbols as sym
from lifesym.specs import root
from lifesym.transforms import Spills


def test_what_is_exact() -> None:
    """Beside what the gallery asserts of every figure."""
    for row in life.rows(11):
        assert abs(life.figure(row) - float(row.published)) <= 1


def test_the_page_has_these_tables() -> None:
    """``python gallery/life.py`` writes them anew."""
    assert life.PAGE.read_text(encoding="utf-8") == life.page()


def test_what_lifes_prefill_fuses_is_not_known() -> None:
    """Its bytes (table 5) lie between those of usual fusions and of whole layers.

    A fused kernel that spilled its scores as table 11 needs in decode would move more than all.
    """
    for row in (r for r in life.rows(5) if r.case.endswith("fused") and r.unit == "GiB"):
        if row.quantity == "cache":
            continue
        published = float(row.published)
        assert life.moved(row, "life", fusion="layer") < published
        assert published < life.figure(row, "eager") < life.figure(row)
        spilling = life.moved(row, "life", plan=[Spills(passes=1)])
        assert spilling - life.figure(row) == pytest.approx(32 * 32 * 2048**2 * 2 / life.GIB)


def test_dispatches_are_nineteen_a_layer() -> None:
    """LIFE's three; lifesym's kernels are 17 a layer for Llama, and Qwen3 has two norms more."""
    for row, layers, here in zip(life.rows(8), (32, 64, 26), (547, 1219, 525), strict=True):
        assert int(row.published) == 19 * layers + 3
        assert life.figure(row, "eager") == here
    assert life.figure(life.rows(8)[0], "eager") == 17 * 32 + 3


def test_decode_moves_a_cached_token_twice() -> None:
    """32.2 KiB a cached token and layer by LIFE's table 7; lifesym's own kernels move 16.3."""
    few, many = (r for r in life.rows(7) if r.unit == "GiB" and r.weights == "bf16")

    def slope(sooner: float, later: float) -> float:
        return (later - sooner) * 2**20 / (many.tokens - few.tokens) / 32

    assert slope(float(few.published), float(many.published)) == pytest.approx(32.2, abs=0.05)
    for engine, kib in (("life", Rational(129, 4)), ("eager", Rational(65, 4))):
        assert slope(life.figure(few, engine), life.figure(many, engine)) == pytest.approx(
            float(kib), rel=1e-9
        )


def test_adapters_merged_in_line_by_hand() -> None:
    (row,) = life.rows(12)
    by_hand = 32 * (4 * 4096**2 + 3 * 4096 * 11008) * (2 * 128 + 2)
    assert by_hand == 1_670_809_387_008
    assert life.merged(row, "life") * 10**9 == by_hand
    free = ls.Model.forward(ls.load_model("llama-2-7b"))
    assert life.Lora(rank=128, targets=life.LINEAR, merged=True)(free).cost() == free.cost()


# what the comparison shows


def test_table_10_takes_gib_for_gb() -> None:
    """All seven forecasts are GB/s over LIFE's own bytes of table 7 in GiB, to the last digit."""
    for row in life.rows(10):
        wrong, right = life.divided(row)
        assert abs(wrong - float(row.published)) <= 10 ** -life.digits(row) / 2 + 1e-9
        assert wrong / right == pytest.approx(2**30 / 10**9)


def test_its_bytes_are_in_gib() -> None:
    """A decode step reads each matrix, which alone has more GB than all that LIFE's prints."""
    few = next(row for row in life.rows(7) if row.unit == "GiB")
    matrices = 2 * (32 * (4 * 4096**2 + 3 * 4096 * 11008) + 32000 * 4096)
    assert matrices / 1e9 > float(few.published) > matrices / life.GIB


def test_decode_does_not_depend_on_memory_alone() -> None:
    """Four-bit weights on LIFE's CPU, by LIFE's own figures and by lifesym's."""
    operations, few, many = (r for r in life.rows(7) if r.weights == "int4-g128")
    device = ls.load_hardware(root() / "published" / "life-cpu.toml")
    rate, bandwidth = float(device.vector["fp32"]), float(device.bandwidth)
    compute = float(operations.published) * 1e9 / rate
    moved = life.bytes_of_table_7(operations) * life.GIB
    assert 4.5 < compute / (moved / bandwidth) < 5
    assert float(few.published) < moved / life.GIB < float(many.published)
    f = operations.forecast("life", overlap="pass")
    peak = ls.forecast(
        f.model,
        device.with_(compute_efficiency=1, memory_efficiency=1),
        128,
        2,
        engine="life",
        weights="int4-g128",
        activations="bf16",
    )
    (term,) = peak.tpot.first.terms
    assert term.compute > 4 * term.memory
    assert peak.bottleneck("decode") == "compute"


# equations


@pytest.mark.parametrize("past", [None, 2048])
def test_equations_1_to_6_are_one_maximum_of_a_pass(past: int | None) -> None:
    """In symbols: any efficiencies and dispatch times by family; a prefill, or a decode step."""
    f, mine, its = life.passed(past)
    assert expand(mine["t_c"] - its["t_c"]) == 0  # Eq. 1
    assert expand(mine["t_m"] - its["t_m"]) == 0  # Eq. 2
    if past is not None:  # Eq. 4 and 5: the case in which the memory takes longer
        assert expand(mine["t_m"] - its["TPOT"]) == 0
    whole = mine["time"]
    bound_by = set()
    for power in (-6, 0, 6):  # Eq. 3, on either side of the maximum
        at = dict.fromkeys(whole.free_symbols, Rational(3, 7))
        at |= {life.TOPS: Integer(10**12), life.BW: Integer(10) ** (9 + power)}
        at[sym.prompt] = Integer(512)
        t_c, t_m = (its[name].xreplace(at).doit() for name in ("t_c", "t_m"))
        assert whole.xreplace(at).doit() == max(t_c, t_m)
        bound_by.add(t_c > t_m)
    assert bound_by == {True, False}
    assert f.tps.expr == 1 / f.tpot.mean.expr  # Eq. 6
