"""Xue et al., WDMoE: wireless distributed mixture of experts (arXiv 2411.06681, 2405.03131).

Read: the abstracts, and two reviews of 2405.03131 (themoonlight.io). They say how it is built: the
gate and the layers before it at the base station, an expert network on each mobile device, links of
unlike rates down and up, a latency of transmission plus inference, bandwidth and the choice of
experts optimized together, and a testbed of NVIDIA Jetson kits. No equation, constant or result
could be read, so no number of it stands here; nor could the threshold of the ratio of weight to
latency by which, a summary says, experts are left out. The radio below is an illustration.
"""

from functools import cache

from sympy import Expr, Integer, Rational, log

import lifesym as ls
from lifesym import symbols as sym
from lifesym.formats import Precision
from lifesym.inference import Forecast
from lifesym.operators import SomeExperts
from lifesym.serving import Spoke, around_hub, balanced_bandwidth
from lifesym.serving.hub import Hub
from lifesym.serving.shares import SharedBandwidth

WORK = "WDMoE (2411.06681)"
MODEL, STATION, DEVICE = "mixtral-8x7b", "a100-sxm-80gb", "jetson-agx-orin-64gb"
TOKENS, SPECTRUM = 1024, Integer(10**8)
EXPERTS, ACTIVE, LAYERS = 8, 2, 32
GOOD, POOR = (Integer(100), Integer(10)), (Integer(1), Rational(1, 2))
"""Signal-to-noise ratios down and up: 20 and 10 dB of seven devices, 0 and -3 dB of the last."""
RATIOS = (*[GOOD] * 7, POOR)
NUMBERS = ()

W = ls.symbol(
    "radio_spectrum",
    latex=r"W_{\mathrm{r}}",
    unit="Hz",
    kind="rate",
    meaning="spectrum of all the devices together",
)
SNR = ls.symbol(
    "radio_snr", latex=r"\rho_{\mathrm{r}}", kind="rate", meaning="signal-to-noise ratio"
)


def rate(part: Expr, ratio: Expr) -> Expr:
    """Bytes a second of a part of the spectrum."""
    return part * log(1 + ratio, 2) / 8


def expert(**sizes: Expr) -> SomeExperts:
    """One device's expert of a layer like Mixtral's."""
    given = {
        "tokens": sym.prompt,
        "experts": sym.experts,
        "active": sym.active_experts,
        "hidden": sym.hidden,
        "intermediate": sym.expert_intermediate,
    }
    return SomeExperts(**(given | sizes), activation="silu", held=1)


def flops() -> Expr:
    """Operations of an expert for a token."""
    cost = expert(experts=Integer(1), active=Integer(1), tokens=Integer(1)).cost(Precision.of())
    return cost.flops


@cache
def station() -> Forecast:
    """Mixtral on the base station's device."""
    return ls.forecast(MODEL, STATION, TOKENS, 64)


def star(parts: tuple[Expr, ...], forecast: Forecast | None = None) -> Hub:
    """The experts on devices with parts of the spectrum, alike down and up."""
    device = ls.load_hardware(DEVICE)
    spokes = [
        Spoke(hardware=device, down=rate(part, down), up=rate(part, up))
        for part, (down, up) in zip(parts, RATIOS, strict=True)
    ]
    return around_hub(forecast or station(), spokes)


@cache
def equal() -> Hub:
    """An eighth of the spectrum for each."""
    return star((W / EXPERTS,) * EXPERTS)


def layer(made: Hub, new: int = TOKENS) -> list[dict[str, Expr]]:
    """Seconds of a layer on each device: receiving, computing and sending."""
    rows = []
    for terms in made.by_device(new):
        row = dict.fromkeys(("receive", "compute", "send"), Integer(0))
        for term in terms:
            row[term.name if term.name in row else "compute"] += term.time / LAYERS
        rows.append({name: time.xreplace({W: SPECTRUM}) for name, time in row.items()})
    return rows


def loads() -> list[Expr]:
    """Bits over bits a hertz of each device in a layer, both ways."""
    bits = 8 * TOKENS * ACTIVE * Integer(4096) * 2 / EXPERTS
    return [bits / log(1 + down, 2) + bits / log(1 + up, 2) for down, up in RATIOS]


@cache
def best() -> SharedBandwidth:
    """The split with which all devices end together."""
    return balanced_bandwidth(loads(), SPECTRUM, layer(equal())[0]["compute"])
