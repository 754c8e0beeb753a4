"""Fu et al., adapter-ALBERT: task adaptation for NLP at the edge (arXiv 2303.16100).

Read: the abstract and a summary (bohrium). Activations and adapters are in SRAM, the sparse
backbone with a bit mask in RRAM, on an accelerator modelled after EdgeBERT. No number of time,
energy or area could be read. What an adapter-ALBERT is, the README of kpe/bert-for-tf2 says: shared
layers, and an adapter of each layer's own. Energies are those of other chips, each with its source.
"""

from base import Number
from sympy import Expr, Integer, Rational, Symbol

import lifesym as ls
from lifesym.engines import Engine
from lifesym.formats import Format
from lifesym.hardware import Hardware
from lifesym.inference import Forecast
from lifesym.levels import Level
from lifesym.model import Model
from lifesym.symbols import Size
from lifesym.transforms import Bottleneck

WORK = "adapter-ALBERT (2303.16100)"
ALBERT, WIDTH, TOKENS = "albert-base-v2", 64, 128
LAYERS, HIDDEN = 12, 768
DENSITY: Symbol = ls.symbol(
    "density",
    meaning="share of the weights that are not zero",
    latex=r"\delta",
    minimum=0,
    maximum=1,
)
RATE = {"unit": "byte/s", "kind": "rate"}
RRAM: Symbol = ls.symbol("rram", meaning="bytes a second of RRAM", latex="W_R", **RATE)
SRAM: Symbol = ls.symbol("sram", meaning="bytes a second of SRAM", latex="W_S", **RATE)
HALF = Rational(1, 2)
RRAM_BYTE = Rational(321_526, 32 * 10**15)
"""J: a DESTINY reference macro of 1 MiB, 321.526 pJ for a word of 256 bits (documents of
DingdongD/RRAM-Logic-Die-PIM-Simulator)."""
RRAM_LEAKS = Rational(316_032, 64 * 10**6)
"""W of such a macro: 316.032 mW of 64 of them (ibid.)."""
SRAM_BYTE = Rational(5, 4 * 10**12)
"""J: 5 pJ for 32 bits, half of an access to 8 kB at 45 nm (Horowitz 2014, in PMC8934428, table
3)."""
EDGE = Engine(name="edge", fusion="full", overlap="pass", activations="table")
"""A small machine: everything at once, activations by table."""


def sparse(density: Expr) -> Format:
    """Eight bits of every value that is not zero, and a bit of mask for each."""
    return Format(name="sparse8", bits=8 * density + 1, native=True, compute="int8")


def machine() -> Hardware:
    """A device whose own memory serves nothing, and whose units are never waited for."""
    peak = {"int8": Integer(10) ** 15, "fp32": Integer(10) ** 15}
    return Hardware(
        name="edge",
        kind="npu",
        matrix=peak,
        vector=peak,
        bandwidth=Integer(10) ** 15,
        static_power=Integer(0),
    )


def adapted(
    tasks: Size = 1, density: Expr = HALF, rram: Expr = RRAM, sram: Expr = SRAM
) -> Forecast:
    """One task of some: the backbone in RRAM, adapters and activations in SRAM."""
    levels = [
        Level(name="RRAM", bandwidth=rram, weights=1, byte_energy=RRAM_BYTE),
        Level(
            name="SRAM", bandwidth=sram, activations=1, holds={"adapter": 1}, byte_energy=SRAM_BYTE
        ),
    ]
    return ls.forecast(
        ls.load_model(ALBERT),
        machine(),
        TOKENS,
        0,
        weights=sparse(density),
        activations="int8",
        roles={"adapter": "int8"},
        adapter=Bottleneck(width=WIDTH, adapters=tasks, used=1),
        levels=levels,
        engine=EDGE,
    )


def adapters(*, shared: bool = False, role: str = "adapter") -> Expr:
    """Learned values of the adapters of one task; of role ``vector`` their biases."""
    trace = Bottleneck(width=WIDTH, shared=shared)(model().forward(1, 1, 0))
    own = [entry for entry in trace if entry.origin == "adapter"]
    matrices = (m.times(e.copies) for e in own for m in e.operator.matrices)
    return sum((m.elements for m in matrices if m.role == role), Integer(0))


def tensors() -> int:
    """Tensors that adapters add to a layer."""
    trace = Bottleneck(width=WIDTH)(model().forward(1, 1, 0))
    return sum(len(entry.operator.matrices) for entry in trace if entry.origin == "adapter")


def model() -> Model:
    """ALBERT base, version 2."""
    return ls.load_model(ALBERT)


NUMBERS: tuple[Number, ...] = (
    Number(
        work="Lan et al., ALBERT (1909.11942)",
        where="parameters",
        what="parameters of ALBERT base, by the class of transformers",
        published=11_221_680,
        mine=lambda: model().parameters,
        within=0,
    ),
    Number(
        work="Lan et al., ALBERT (1909.11942)",
        where="parameters",
        what="the same as the paper rounds them",
        published=12_000_000,
        mine=lambda: model().parameters,
        within=0.07,
        reason="in whole millions; the paper's has a pooler, too",
    ),
    Number(
        work=WORK,
        where="definition in bert-for-tf2",
        what="adapters' matrices, one adapter a block of each of 12 layers, width 64",
        published=LAYERS * 2 * 2 * HIDDEN * WIDTH,
        mine=adapters,
        within=0,
    ),
    Number(
        work=WORK,
        where="definition in bert-for-tf2",
        what="all their values, 12 x 2 (2 m d + d + m)",
        published=LAYERS * 2 * (2 * WIDTH * HIDDEN + HIDDEN + WIDTH),
        mine=lambda: adapters() + adapters(role="vector"),
        within=0,
    ),
    Number(
        work=WORK,
        where="tests of bert-for-tf2",
        what="tensors that adapters add to a layer, 15 + 16 - 23",
        published=15 + 16 - 23,
        mine=tensors,
        within=0,
    ),
)
