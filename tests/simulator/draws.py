"""Random cases: a config, a machine, a load, and options in pairs, triples and more."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from simulator.clock import Machine
from simulator.configs import READERS, shape_of
from simulator.families import Json, configs
from simulator.formats import Precision
from simulator.fusion import BEFORE_ACTIVATION
from simulator.kernels import Kernel
from simulator.options import Adapter, Group, Level, Lora, Options, Policy, RefusedError
from simulator.passes import run
from simulator.shapes import Shape
from simulator.walk import ENDS, TARGETS
from simulator.workload import Load, Simulation

Draw = st.DrawFn
Changes = dict[str, Any]
ADAPTED = (*TARGETS, *BEFORE_ACTIVATION, "mlp_down")
WEIGHTS = (
    *("bf16", "fp16", "fp32", "int8", "int4-g128", "q4_k_m", "nf4", "gguf-q4_0", "awq"),
    *("q8_0", "fp8"),
)
SHORT = 128
"""Hidden sizes from here on have mixes by the quantizer's rules (`lifesym.gguf_mixes.resolve`)."""
TYPES = ("fp32", "fp16", "bf16", "int8", "fp8", "int4", "fp4")
FULL = ("flash", "qkv", "gate_up", "activation", "norm")


@dataclass(frozen=True)
class Case:
    """What both sides compute."""

    config: Json
    simulation: Simulation


def _tensor(draw: Draw, shape: Shape) -> Changes:
    """Mostly a number of devices that divides the heads."""
    fits = [n for n in (2, 3, 4, 8) if shape.heads % n == 0] or [2]
    return {"tensor": draw(st.sampled_from([*fits, *fits, *fits, 2, 4]))}


def _sequence(draw: Draw, shape: Shape) -> Changes:
    return _tensor(draw, shape) | {"sequence": True}


def _all_reduce(draw: Draw, shape: Shape) -> Changes:
    kind = draw(st.sampled_from(["ring", "tree", "halving_doubling", "recursive_doubling"]))
    return _tensor(draw, shape) | {"all_reduce": kind}


def _expert_devices(draw: Draw, shape: Shape) -> Changes:
    return {"expert_devices": draw(st.sampled_from([2, 4]))} if _sparse(shape) else {}


def _replicas(draw: Draw, shape: Shape) -> Changes:
    return {"replicas": draw(st.integers(2, 3))}


def _kernels(shape: Shape) -> list[Kernel]:
    return list(run(shape, Options(), [Group(1, 1, 0)]).kernels)


def _lora(draw: Draw, shape: Shape) -> Changes:
    names = sorted({k.name for k in _kernels(shape)} & set(ADAPTED))
    some = st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple)
    adapters = draw(st.sampled_from([1, 1, 3]))
    lora = Lora(
        rank=draw(st.sampled_from([1, 2, 4, 0])),
        targets=draw(st.none() | some),
        adapters=adapters,
        merged=adapters == 1 and draw(st.integers(0, 9)) == 0,
    )
    return {"lora": lora}


def _adapter(draw: Draw, shape: Shape) -> Changes:
    names = sorted({k.name for k in _kernels(shape)} & set(ENDS))
    after = draw(st.none() | st.sampled_from(names).map(lambda name: (name,)))
    return {"adapter": Adapter(width=draw(st.sampled_from([1, 3, 4, 0])), after=after)}


def _policy(draw: Draw, shape: Shape) -> Changes:
    parts: dict[str, st.SearchStrategy[Any]] = {
        "budget": st.sampled_from([1, 3, 6, 20]),
        "keep": st.sampled_from([Fraction(1, 2), Fraction(1, 3), Fraction(3, 4), Fraction(2, 5)]),
        "page": st.sampled_from([2, 4, 16]),
        "scored": st.just(True),
    }
    if shape.latent is None:
        parts |= {"rank": st.integers(1, 3), "share": st.integers(2, 3)}
    chosen = draw(st.lists(st.sampled_from(sorted(parts)), min_size=1, max_size=3, unique=True))
    return {"policy": Policy(**{name: draw(parts[name]) for name in chosen})}


def _fusion(draw: Draw, shape: Shape) -> Changes:
    some = st.lists(st.sampled_from(FULL), min_size=1, max_size=4, unique=True).map(tuple)
    return {"rules": draw(st.sampled_from([("flash",), FULL, ("layer",)]) | some)}


def _tile(draw: Draw, shape: Shape) -> Changes:
    rules = draw(st.sampled_from([("flash",), FULL]))
    return {"rules": rules, "tile": draw(st.sampled_from([1, 2, 5, 1000]))}


def _mla(draw: Draw, shape: Shape) -> Changes:
    return {"mla": draw(st.sampled_from(["expand", "decompressed", "absorbed"]))}


def _causal(draw: Draw, shape: Shape) -> Changes:
    return {"causal": "exact"}


def _sparse(shape: Shape) -> bool:
    return any(layer.experts for layer in shape.layers)


def _routing(draw: Draw, shape: Shape) -> Changes:
    if not _sparse(shape) or shape.experts is None:
        return {}
    kind = draw(st.sampled_from(["all", "active", "skewed"]))
    if kind != "skewed":
        return {"routing": kind}
    count, chosen = shape.experts.count, shape.experts.chosen
    weights = draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    chances = tuple(Fraction(chosen * w, sum(weights)) for w in weights)
    return {"routing": "skewed", "probabilities": chances} if max(chances) <= 1 else {}


def _imbalance(draw: Draw, shape: Shape) -> Changes:
    more = st.sampled_from([Fraction(3, 2), Fraction(2)])
    return {"imbalance": draw(more)} if _sparse(shape) else {}


def _averaged(shape: Shape, names: tuple[str, ...]) -> list[str]:
    """Formats as the simulator has them: mixes by their averages, as in models of short rows."""
    return [name for name in names if name != "q4_k_m" or shape.hidden < SHORT]


def _weights(draw: Draw, shape: Shape) -> Changes:
    computed = draw(st.sampled_from(["bf16", "bf16", "int8", "fp16", "fp8", "fp32"]))
    stored = draw(st.sampled_from(_averaged(shape, WEIGHTS)))
    return {"precision": {"weights": stored, "activations": computed}}


def _kv(draw: Draw, shape: Shape) -> Changes:
    stored = ["fp32", "fp16", "int8", "int4", "q8_0", "fp8", "q4_1"]
    return {"precision": {"kv": draw(st.sampled_from(stored))}}


def _roles(draw: Draw, shape: Shape) -> Changes:
    held = sorted({role for _, role, _ in run(shape, Options(), [Group(1, 1, 0)]).held})
    names = draw(st.lists(st.sampled_from(held), min_size=1, max_size=3, unique=True))
    return {"precision": {"roles": {name: draw(st.sampled_from(WEIGHTS)) for name in names}}}


def _activation_roles(draw: Draw, shape: Shape) -> Changes:
    kernels = run(shape, Options(), [Group(1, 1, 0)]).kernels
    dense = sorted({role for kernel in kernels for role in kernel.dense})
    names = draw(st.lists(st.sampled_from(dense), min_size=1, max_size=4, unique=True))
    kinds = st.sampled_from(["int8", "fp8", "fp16", "fp32"])
    return {"precision": {"activation_roles": {name: draw(kinds) for name in names}}}


def _unfused(draw: Draw, shape: Shape) -> Changes:
    stored = draw(st.sampled_from(_averaged(shape, ("int8", "int4-g128", "q4_k_m"))))
    return {"precision": {"unfused_dequant": True, "weights": stored}}


def _overlap(draw: Draw, shape: Shape) -> Changes:
    return {"overlap": draw(st.sampled_from(["pass", "none"]))}


def _levels(draw: Draw, shape: Shape) -> Changes:
    share = st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1, 3)])

    def level(i: int) -> Level:
        return Level(
            name=f"memory {i}",
            bandwidth=Fraction(draw(st.sampled_from([1, 7, 100, 3000]))),
            weights=draw(share),
            experts=draw(share) if _sparse(shape) else Fraction(0),
            kv=draw(share),
            activations=draw(share),
            embedding=draw(st.none() | share),
            link=draw(st.none() | st.sampled_from([Fraction(3), Fraction(900)])),
            through=draw(st.sampled_from(["", "one link"])),
            latency=Fraction(draw(st.sampled_from([0, 5]))),
            byte_energy=Fraction(draw(st.sampled_from([0, 3]))),
            static_power=Fraction(draw(st.sampled_from([0, 2]))),
        )

    return {"levels": tuple(level(i) for i in range(draw(st.integers(1, 2))))}


def _chunk(draw: Draw, shape: Shape) -> Changes:
    return {"chunk": draw(st.sampled_from([1, 2, 3, 5, 8, 50]))}


KINDS: dict[str, Callable[[Draw, Shape], Changes]] = {
    "tensor parallel": _tensor,
    "sequence parallel": _sequence,
    "all-reduce": _all_reduce,
    "expert parallel": _expert_devices,
    "data parallel": _replicas,
    "lora": _lora,
    "adapter": _adapter,
    "cache": _policy,
    "fusion": _fusion,
    "tile": _tile,
    "mla": _mla,
    "causal": _causal,
    "routing": _routing,
    "imbalance": _imbalance,
    "weights": _weights,
    "kv": _kv,
    "roles": _roles,
    "activation roles": _activation_roles,
    "unfused dequant": _unfused,
    "overlap": _overlap,
    "levels": _levels,
    "chunk": _chunk,
}


@st.composite
def options_of(draw: Draw, shape: Shape) -> Options:
    """Mostly two or three kinds of options together."""
    count = draw(st.sampled_from([1, 2, 2, 3, 3, 3, 4, 6]))
    kinds = draw(
        st.lists(st.sampled_from(list(KINDS)), min_size=count, max_size=count, unique=True)
    )
    changes: Changes = {}
    precision: Changes = {}
    for kind in kinds:
        found = KINDS[kind](draw, shape)
        precision |= found.pop("precision", {})
        changes |= found
    if changes.get("sequence") and changes.get("all_reduce") in ("tree", "recursive_doubling"):
        changes.pop("all_reduce")  # they have no halves
    if "flash" not in changes.get("rules", ()):
        changes.pop("tile", None)
    options = Options(**changes, precision=Precision(**precision))
    if "layer" in options.rules and options.policy.share != 1:
        options = replace(options, rules=("flash",))  # such layers are not kernels of one kind
    return options


@st.composite
def machines(draw: Draw) -> Machine:
    """Rates of few digits, at which some operators are bound by either side."""

    def rate(low: int, high: int) -> Fraction:
        return Fraction(draw(st.integers(1, 9)) * 10 ** draw(st.integers(low, high)))

    units = draw(st.lists(st.sampled_from(TYPES), max_size=3, unique=True))
    count = draw(st.sampled_from([1, 1, 2]))
    return Machine(
        matrix={kind: rate(1, 4) for kind in TYPES},
        vector={kind: rate(1, 3) for kind in units},
        bandwidth=rate(1, 3),
        compute_efficiency=draw(st.sampled_from([Fraction(1), Fraction(1, 2)])),
        memory_efficiency=draw(st.sampled_from([Fraction(1), Fraction(3, 4)])),
        dispatch_time=draw(st.sampled_from([Fraction(0), Fraction(1, 3)])),
        links=tuple((rate(0, 3), Fraction(draw(st.integers(0, 5)), 7)) for _ in range(count)),
        flop_energy=Fraction(draw(st.integers(0, 3))),
        byte_energy=Fraction(draw(st.integers(0, 3))),
        static_power=Fraction(draw(st.integers(0, 9))),
    )


@st.composite
def parted(draw: Draw, machine: Machine, shape: Shape, options: Options) -> Machine:
    """The same machine, which attains otherwise in parts of the work; fused kernels are others."""
    names = [] if options.rules else [k.name for k in run(shape, options, [Group(1, 1, 0)]).kernels]
    keys = [f"{name}.{kind}" for name in names for kind in ("compute", "memory", "dispatch")]
    roles = [f"{role}.memory" for role in ("weights", "cache", "activations")]
    some = st.lists(st.sampled_from([*roles, *keys]), min_size=2, max_size=20, unique=True)

    def maybe(number: Fraction) -> Fraction | None:
        return draw(st.sampled_from([None, number]))

    return replace(
        machine,
        own={key: draw(st.sampled_from([Fraction(1, 3), Fraction(4, 5)])) for key in draw(some)},
        layer_time=maybe(Fraction(3, 11)),
        collective_latency=maybe(Fraction(2, 13)),
        sampling_time=maybe(Fraction(5, 17)),
        dequantization_rate=maybe(Fraction(70)),
    )


@st.composite
def loads(draw: Draw) -> Load:
    return Load(
        batch=draw(st.sampled_from([1, 1, 2, 3, 5])),
        prompt=draw(st.sampled_from([1, 2, 4, 7, 12, 20])),
        generate=draw(st.sampled_from([1, 2, 3, 6, 11])),
        past=draw(st.sampled_from([0, 0, 0, 1, 4, 9, 16])),
    )


@st.composite
def cases(draw: Draw, families: tuple[str, ...] = tuple(READERS), *, parts: bool = False) -> Case:
    """A model on a machine under options and a load; ``parts`` may attain otherwise."""
    config = draw(st.sampled_from(families).flatmap(configs))
    shape = shape_of(config)
    options = draw(options_of(shape))
    machine = draw(machines())
    if parts and draw(st.booleans()):
        with suppress(RefusedError):  # by both sides, whatever the machine
            machine = draw(parted(machine, shape, options))
    return Case(config, Simulation(shape, machine, options, draw(loads())))
