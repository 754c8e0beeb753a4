"""Number formats: real bits of real files, and which role is stored how."""

from dataclasses import replace

import pytest
from sympy import Float, Integer, Rational
from test_truth import RECORDS

import lifesym as ls
from lifesym import symbols as sym
from lifesym.cost import bytes_of
from lifesym.errors import SpecError, SymbolError
from lifesym.formats import (
    Format,
    Matrix,
    Precision,
    known_formats,
    load_format,
    shared_exponent,
    symbolic_format,
    vectors,
)
from lifesym.operators import Linear, LMHead

QUANT = [record for record in RECORDS if record["kind"] == "quant"]
SPELT = {
    "F16": "fp16",
    "F32": "fp32",
    "F64": "fp64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "fp16/bf16": "bf16",
    "fp8 per-tensor": "fp8",
    "mxfp4 (block 32, e8m0 scale)": "mxfp4",
    "nvfp4 (block 16, fp8 scale)": "nvfp4",
    "bnb nf4 (block 64, fp32 absmax)": "nf4",
    "bnb nf4 double quant (block 64, 8-bit absmax, fp32 per 256)": "nf4-dq",
}
"""Names in the file that are not ours in small letters."""


@pytest.mark.parametrize("record", QUANT, ids=lambda r: f"{r['scheme']} {r['type']}")
def test_bits_of_real_tensors(record: dict[str, object]) -> None:
    kind = str(record["type"])
    name = "int4-g128" if "int4_g128" in str(record["scheme"]) else SPELT.get(kind, kind.lower())
    bits = record.get("bits_per_weight_without_g_idx", record["bits_per_weight"])
    assert load_format(name).bits_per_value == Rational(str(bits))


@pytest.mark.parametrize("name", known_formats())
def test_every_format_is_exact(name: str) -> None:
    found = load_format(name)
    assert found.name == name
    assert found.bits_per_value.is_Rational
    assert not found.bits_per_value.has(Float)
    assert found.bits_per_value >= found.bits > 0
    assert found.dequant_ops_per_value in (0, 1, 2)
    assert load_format(name.upper()) == found
    assert load_format(found) is found


def test_unknown_formats_have_a_hint() -> None:
    with pytest.raises(SpecError, match=r"unknown number format 'int4-g129'; did you mean 'int4-"):
        load_format("int4-g129")
    with pytest.raises(SpecError, match="a number format is a name or a Format, not 4"):
        load_format(4)  # type: ignore[arg-type]
    with pytest.raises(SymbolError, match=r"role must be one of .* did you mean 'weight'"):
        symbolic_format("weights")


def test_groups_share_scales_and_zero_points() -> None:
    grouped = Format(name="mine", bits=3, group_size=64, scale_bits=16, zero_bits=3)
    assert grouped.bits_per_value == 3 + Rational(19, 64)
    assert grouped.dequant_ops_per_value == 2
    with pytest.raises(SymbolError, match=r"mine\.bits must be a number"):
        Format(name="mine", bits="3")


def test_shared_exponents() -> None:
    assert shared_exponent(4, 5, 64).bits_per_value == 5 + Rational(5, 64)
    assert shared_exponent(sym.mantissa_bits, 8, 32).bits_per_value.free_symbols == {
        sym.mantissa_bits
    }


def test_symbolic_formats() -> None:
    symbols = {"weight": sym.weight_bits, "activation": sym.activation_bits, "kv": sym.kv_bits}
    for role, symbol in symbols.items():
        assert symbolic_format(role).bits_per_value == symbol
        assert symbolic_format(role, bits=4).bits_per_value == 4


def test_vectors_stay_in_the_activations_format() -> None:
    precision = Precision.of("int4-g128", "bf16")
    biased = Linear(tokens=1, in_features=256, out_features=64, bias=True).cost(precision)
    assert biased.weight_bytes == bytes_of(256 * 64, Rational("4.15625")) + 64 * 2
    assert Precision.of("fp32", "bf16").weight_format("vector").name == "fp32"


def test_single_roles_have_their_own_format() -> None:
    precision = Precision(
        weights=load_format("int4"),
        activations=load_format("bf16"),
        kv=load_format("bf16"),
        roles={"lm_head": load_format("bf16")},
    )
    head = LMHead(tokens=1, hidden=8, vocab=10).cost(precision)
    assert (head.weight_bytes, head.dequant_ops) == (2 * 80, 0)
    assert Linear(tokens=1, in_features=8, out_features=10).cost(precision).weight_bytes == 40


def test_what_is_computed_in_its_own_format_is_not_dequantized() -> None:
    same = Precision.of("int8", "int8", "int8")
    ten = Matrix(role="linear", rows=Integer(2), columns=Integer(5))
    assert same.dequant_ops(ten) == same.kv_dequant_ops(Integer(10)) == 0
    mixed = Precision.of("int8", "bf16", "int8")
    assert mixed.dequant_ops(ten) == mixed.kv_dequant_ops(Integer(10)) == 10


@pytest.mark.parametrize("role", ["adapter", "low_rank", "vector"])
def test_adapters_of_quantized_models_stay_in_16_bits(role: str) -> None:
    precision = Precision.of("int4-g128", "bf16")
    (hundred,) = vectors(100, role)
    assert precision.weight_bytes(hundred) == 200
    assert precision.dequant_ops(hundred) == 0
    small = replace(precision, roles={role: load_format("int4")})
    assert small.weight_bytes(hundred) == 50


@pytest.mark.parametrize(
    ("name", "data_type"),
    [("nvfp4", "fp4"), ("mxfp4", "fp4"), ("mxfp8", "fp8"), ("q8_0", "int8"), ("int4-g128", "int4")],
)
def test_block_formats_are_computed_at_the_peak_of_their_elements(
    name: str, data_type: str
) -> None:
    hardware = replace(ls.load_hardware("a100"), matrix={"bf16": Integer(1), data_type: Integer(4)})
    assert hardware.matrix_peak(load_format(name)) == 4
    with pytest.raises(ls.SpecError, match=f"no peak for {data_type}"):
        replace(hardware, matrix={"bf16": Integer(1)}, vector={}).matrix_peak(load_format(name))


def test_activations_with_a_shared_exponent_are_multiplied_as_integers() -> None:
    anda = shared_exponent(sym.mantissa_bits, 5, 64)
    model, device = ls.load_model("tinyllama-1.1b"), ls.load_hardware("a100")
    assert device.matrix_peak(anda) == device.matrix["int8"]
    f = ls.forecast(model, device, prompt=9, generate=3, weights="int4-g128", activations=anda)
    assert sym.mantissa_bits in f.ttft.expr.free_symbols
    assert f.ttft.bind({"mantissa_bits": 7}) > 0


@pytest.mark.parametrize("name", ["b200", "rtx-5090", "rtx-pro-6000-blackwell"])
@pytest.mark.parametrize("fmt", ["nvfp4", "mxfp4"])
def test_devices_that_compute_in_fp4(name: str, fmt: str) -> None:
    """Projections at the fp4 peak, which is twice that of eight bits; nothing is dequantized."""
    device = ls.load_hardware(name)
    assert device.matrix["fp4"] == 2 * device.matrix["int8"]
    model = ls.load_model("llama-3-8b")
    f = ls.forecast(model, device, 2048, 4, weights=fmt, activations=fmt)
    term = next(t for t in f.ttft.terms if t.name == "mlp_up")
    assert term.compute == term.cost.matmul_flops / device.matrix["fp4"]
    assert term.cost.dequant_ops == 0
    assert f.bottleneck("prefill") == "compute"
    wide = ls.forecast(model, device, 2048, 4)
    assert float(f.ttft) < float(wide.ttft) / 3


def test_vectors_of_a_format_are_dequantized_apart() -> None:
    """8 gains, stored in 8 bits where it is said, are written and read once more in 16."""
    roles = {"vector": load_format("fp8")}
    precision = replace(Precision.of("fp8"), unfused_dequant=True, roles=roles)
    for rows in (None, 1, 40):
        cost = precision.read_weights(vectors(8), rows)
        assert (cost.weight_bytes, cost.dispatches) == (8, 1)
        assert (cost.activation_read_bytes, cost.activation_write_bytes) == (16, 16)
