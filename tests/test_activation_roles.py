"""Formats of activations by operator, and bit-serial units, against sums by hand."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sympy import Integer, Rational

import lifesym as ls
from lifesym import symbols as sym
from lifesym.errors import LifesymError
from lifesym.formats import load_format, shared_exponent

SERIAL = Integer(16 * 10**12)
DEVICE = ls.Hardware(
    name="serial",
    kind="asic",
    matrix={"fp16": Integer(10**12)},
    vector={},
    bandwidth=Integer(10**15),
    serial_peak=SERIAL,
)
MODEL = "llama-7b"
LENGTHS = {"attn_q": 7, "attn_k": 7, "attn_v": 7, "attn_o": 6, "mlp_gate": 6, "mlp_up": 6}
LENGTHS |= {"mlp_down": 5}
ROLES = {role: f"shared-m{m}-e5-g64" for role, m in LENGTHS.items()}
TILED: dict[str, Any] = {"weights": "int4", "activations": "fp16"}


def asked(**more: Any) -> ls.Forecast:
    """A prompt of 32 tokens on the device."""
    return ls.forecast(MODEL, DEVICE, 32, 1, **TILED, **more)


@pytest.mark.parametrize("fusion", ["none", "flash", "full", "layer"])
def test_each_product_takes_the_time_of_its_own_bits(fusion: str) -> None:
    """The difference to 16-bit floats is that of every product's operations, however fused."""
    plain, own = asked(fusion=fusion), asked(fusion=fusion, activation_roles=ROLES)
    products = {t.name: t.cost.matmul_flops for t in asked(fusion="none").ttft.terms}
    saved = sum(
        products[role] * (Rational(1, 10**12) - Rational(m + 1) / SERIAL)
        for role, m in LENGTHS.items()
    )
    assert plain.ttft.expr - own.ttft.expr == saved
    assert plain.flops.expr == own.flops.expr


def test_each_product_reads_its_own_format() -> None:
    plain, own = asked(fusion="none"), asked(fusion="none", activation_roles=ROLES)
    terms = zip(plain.ttft.terms, own.ttft.terms, strict=True)
    for before, after in terms:
        bits = LENGTHS.get(before.name)
        read = before.cost.activation_read_bytes
        if bits is not None:
            read *= (bits + 1 + Rational(5, 64)) / 16
        assert after.cost.activation_read_bytes == read
        assert after.cost.activation_write_bytes == before.cost.activation_write_bytes


def test_what_stays_inside_a_kernel_is_read_in_no_format() -> None:
    """Of projections side by side the first one's input moves; of a whole layer none of theirs."""
    hidden, tokens, layers = 4096, 32, 32
    names = {"attn_q": "attn_qkv_fused", "mlp_gate": "mlp_up_act"}
    full = {t.name: t for t in asked(fusion="full", activation_roles=ROLES).ttft.terms}
    for role, name in names.items():
        bits = LENGTHS[role] + 1 + Rational(5, 64)
        assert full[name].cost.activation_read_bytes == layers * tokens * hidden * bits / 8
    whole = [asked(fusion="layer", **more) for more in ({}, {"activation_roles": ROLES})]
    moved = [sum(t.cost.activation_read_bytes for t in f.ttft.terms) for f in whole]
    assert moved[0] == moved[1]


def test_mantissa_bits_stay_in_the_formula() -> None:
    """Time of products is proportional to m + 1, so its elasticity is m / (m + 1) of them."""
    kinds = dict.fromkeys(LENGTHS, shared_exponent(sym.mantissa_bits, 5, 64))
    symbolic = asked(activation_roles=kinds).ttft.expr
    for bits in (4, 11):
        names = dict.fromkeys(LENGTHS, f"shared-m{bits}-e5-g64")
        assert symbolic.xreplace({sym.mantissa_bits: Integer(bits)}) == (
            asked(activation_roles=names).ttft.expr
        )


def test_opened_forecasts_keep_the_peak_of_bit_serial_units() -> None:
    made = asked(activation_roles=ROLES)
    opened = made.open()
    assert sym.serial_peak in opened.ttft.expr.free_symbols
    assert opened.ttft.bind(opened.point) == made.ttft.expr
    assert opened.point[sym.serial_peak] == SERIAL


def test_without_bit_serial_units_a_shared_exponent_is_computed_as_int8() -> None:
    device = ls.Hardware(
        name="int8",
        kind="npu",
        matrix={"fp16": Integer(10**12), "int8": Integer(2 * 10**12)},
        vector={},
        bandwidth=Integer(10**15),
    )
    times = [
        [t.compute for t in ls.forecast(MODEL, device, 32, 1, **asked).ttft.terms]
        for asked in ({**TILED, "activations": f"shared-m{m}-e5-g64"} for m in (4, 13))
    ]
    assert times[0] == times[1]


def test_a_tied_head_has_an_input_format_of_its_own() -> None:
    """Its weights' role is the embedding's."""
    role = {"tied_embedding": "shared-m7-e5-g64"}
    made = [
        ls.forecast("opt-1.3b", DEVICE, 32, 1, **TILED, **m)
        for m in ({}, {"activation_roles": role})
    ]
    before, after = (next(t for t in f.ttft.terms if t.name == "lm_head") for f in made)
    # 8 planes of bits in place of 16
    assert before.compute - after.compute == before.cost.matmul_flops / (2 * 10**12)


def test_a_spec_has_bit_serial_units(tmp_path: Path) -> None:
    path = tmp_path / "serial.toml"
    path.write_text(
        'name = "serial"\nvendor = "none"\nkind = "fpga"\n'
        '[peak.matrix]\nfp16 = "1 TFLOPS"\nsource = "a test"\n'
        '[peak.serial]\nrate = "16 TFLOPS"\nsource = "a test"\n'
        '[memory]\nbandwidth = "256 GB/s"\nsource = "a test"\n',
        encoding="utf-8",
    )
    device = ls.load_hardware(path)
    assert (device.kind, device.serial_peak) == ("fpga", SERIAL)
    assert device.sources["peak.serial"] == "a test"


def test_a_shared_exponent_has_a_name() -> None:
    fmt = load_format("shared-m5-e5-g64")
    assert fmt == shared_exponent(5, 5, 64)
    assert fmt.bits_per_value == 6 + Rational(5, 64)
    assert Fraction(int(fmt.planes)) == 6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"activation_roles": {"attn_x": "fp16"}},
            "no dense product with weights of role 'attn_x'",
        ),
        ({"activation_roles": {"embedding": "fp16"}}, "no dense product with weights of role"),
        ({"activation_roles": {"attn_q": "shared-m5"}}, "is written shared-m5-e5-g64"),
        ({"activation_roles": {"attn_q": "shared-m5-e5-g0"}}, "is written shared-m5-e5-g64"),
        ({"activation_roles": {"attn_q": "fp4"}}, "has no peak for fp4"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(LifesymError, match=said):
        _ = asked(**given).ttft.expr
