"""What the commands that ask a formula share: the formula with its symbols, and the point."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lifesym.cli.options import DEVICE, WORKLOAD, choice, size_option
from lifesym.cli.output import line, note, said_of

if TYPE_CHECKING:
    from sympy import Expr, Symbol

    from lifesym.inference import Forecast

Metric = Literal["ttft", "tpot", "tpot_mean", "tps", "latency", "memory"]
MetricOption = Annotated[Metric, choice("--metric", "What is asked about.", WORKLOAD)]
Prompt = Annotated[int, size_option("--prompt", "Prompt tokens of each sequence.")]
Generate = Annotated[int, size_option("--generate", "Tokens generated a sequence.")]
Context = Annotated[
    int | None, size_option("--past", "Context of a decode step; the prompt's length unless given.")
]
Lift = Annotated[
    str,
    typer.Option(metavar="NAME,...", help="Dimensions of the model that are asked about, too."),
]
Fraction = Annotated[
    float | None,
    typer.Option(metavar="X", help="Instead of the device's.", rich_help_panel=DEVICE),
]
Plot = Annotated[
    str | None, typer.Option("--plot", metavar="FILE", help="Draw it: .png, .pdf or .svg.")
]
Over = Annotated[str, typer.Option("--over", metavar="SYMBOL", help="The symbol that varies.")]
Low = Annotated[
    float | None, typer.Option("--from", metavar="X", help="Where the range begins (SI unit).")
]
High = Annotated[float | None, typer.Option("--to", metavar="X", help="Where the range ends.")]

# Where a range begins and ends unless it is given; rates and times go around the device's own.
_LONGEST = {"batch": 4096, "past": 131072, "prompt": 131072, "generated": 131072}
_AROUND = 1000
# Options that can be asked about like a size: the option, and the format's role if it is one.
_OPTIONS = {
    "chunk": ("chunk", ""),
    "rank": ("lora", ""),
    "weight_bits": ("weights", "weight"),
    "activation_bits": ("activations", "activation"),
    "kv_bits": ("kv", "kv"),
}


@dataclass(frozen=True)
class Asked:
    """A formula with every workload and device symbol free, and the point that was given."""

    forecast: "Forecast"
    quantity: Any
    point: "dict[Symbol, Expr]"
    model: str
    device: str
    metric: str
    said: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The configuration, in words."""
        stored = self.forecast.precision.weights.name
        return f"{self.model} in {stored} on {self.device}"

    def described(self, names: Iterable[str]) -> str:
        """The label, with those of its options that a comparison changes."""
        forecast = self.forecast
        known = {
            "kv": f"cache in {forecast.precision.kv.name}",
            "mla": f"{forecast.mla} attention",
            "chunk": "one prefill" if forecast.chunk is None else f"chunks of {forecast.chunk}",
        }
        return ", ".join([self.label, *(known[name] for name in names if name in known)])

    def print_said(self) -> None:
        """What the answer must say, a line each."""
        for text in self.said:
            line(text)

    @property
    def title(self) -> str:
        """What is asked of what, on what."""
        return f"{self.metric} of {self.model} on {self.device}"

    def used(self, *free: "Symbol") -> "dict[Symbol, Expr]":
        """The point without the symbols that vary, in the table's order."""
        from lifesym.symbols import ordered  # noqa: PLC0415

        known = self.quantity.expr.free_symbols - set(free)
        return {symbol: self.point[symbol] for symbol in ordered(known)}

    def head(self, *free: "Symbol") -> dict[str, Any]:
        """The keys that every command's JSON object begins with."""
        at = {symbol.name: plain(value) for symbol, value in self.used(*free).items()}
        return {
            "model": self.model,
            "hardware": self.device,
            "metric": self.metric,
            "unit": self.quantity.unit,
            "at": at,
        }

    def range_of(
        self, symbol: "Symbol", low: float | None, high: float | None
    ) -> "tuple[Expr | float, Expr | float]":
        """The ends that were given, or ones that are wide enough for the symbol."""
        from lifesym.symbols import TABLE  # noqa: PLC0415

        row = TABLE[symbol]
        here = self.point.get(symbol)
        least: Any = row.minimum
        most: Any = row.maximum
        if row.kind in {"size", "bits"}:
            most = most or _LONGEST.get(row.word, 65536)
        else:
            around = here or 1
            least = around / _AROUND if least is None or here else least
            most = most if most is not None else around * _AROUND
        return (least if low is None else low), (most if high is None else high)

    def line_of(
        self,
        symbol: "Symbol",
        low: float | None,
        high: float | None,
        sides: "Iterable[Expr]",
        steps: int | None = None,
    ) -> "tuple[Expr | float, Expr | float]":
        """As `range_of`; an end that was not given is moved if rounded quotients step too often.

        Args:
            symbol: the symbol that varies.
            low: the lower end, if one was given.
            high: the upper end, if one was given.
            sides: the formulas, in the symbol alone.
            steps: the most steps, where fewer are wanted.
        """
        from lifesym.analysis.line import cut_short  # noqa: PLC0415 (SymPy)
        from lifesym.symbols import TABLE, exact  # noqa: PLC0415

        ends = self.range_of(symbol, low, high)
        word = TABLE[symbol].word
        whole = exact(ends[0], word), exact(ends[1], word)
        cut = cut_short(sides, symbol, *whole, steps) if whole[0] < whole[1] else whole
        first, last = (cut[0] if low is None else ends[0]), (cut[1] if high is None else ends[1])
        if (first, last) != ends:
            note(f"{word} goes from {first} to {last} here, as it takes many steps beyond")
        return first, last


def listed(text: str) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def asked(
    model: str,
    on: str,
    metric: Metric,
    *,
    batch: int = 1,
    prompt: int = 512,
    generate: int = 128,
    past: int | None = None,
    lift: str = "",
    over: str = "",
    weights: str | None = None,
    activations: str | None = None,
    kv: str | None = None,
    chunk: int | None = None,
    lora: int | None = None,
    numbers: dict[str, float | None] | None = None,
    **options: Any,
) -> Asked:
    """The formula on a device of which every number is a symbol, and that device's numbers.

    Options that are asked about, in ``over`` or ``lift``, are symbols too: the chunk, the rank of
    adapters, and the bits of plain formats without scales.
    """
    import lifesym as ls  # noqa: PLC0415 (SymPy only where a command needs it)
    from lifesym import symbols as sym  # noqa: PLC0415
    from lifesym.analysis import device_point  # noqa: PLC0415
    from lifesym.formats import symbolic_format  # noqa: PLC0415

    loaded = ls.load_model(model)
    given = {name: value for name, value in (numbers or {}).items() if value is not None}
    device = ls.load_hardware(on).with_(**given)
    formats = {"weights": weights, "activations": activations, "kv": kv}
    precision = ls.forecast(loaded, device, prompt=1, **formats).precision  # type: ignore[arg-type]
    names = listed(lift)
    about = {*names, *listed(over)}
    lifted = loaded.lift(*(name for name in names if name not in _OPTIONS))
    chosen: dict[str, Any] = {"chunk": chunk, "lora": lora}
    stored = {"weights": precision.weights, "activations": precision.activations}
    chosen |= stored | {"kv": precision.kv}
    values = {"chunk": chunk, "rank": lora}
    for word in about & set(_OPTIONS):
        option, role = _OPTIONS[word]
        if role:
            values[word] = chosen[option].bits
        chosen[option] = symbolic_format(role) if role else sym.resolve(word)
    forecast = ls.forecast(lifted, ls.Hardware.symbolic(), batch=sym.batch, **(chosen | options))
    quantity = forecast.tpot.mean if metric == "tpot_mean" else getattr(forecast, metric)
    last = {"ttft": prompt, "tpot": (prompt if past is None else past) + 1}
    loaded.check_length(sym.exact(last.get(metric, prompt + generate - 1)))
    sizes = {
        sym.batch: batch,
        sym.prompt: prompt,
        sym.generated: generate,
        sym.past: prompt if past is None else past,
    }
    sizes |= {sym.resolve(word): value for word, value in values.items() if value is not None}
    point = {symbol: sym.exact(value) for symbol, value in {**loaded.values, **sizes}.items()}
    point |= device_point(device, precision.compute or precision.activations)
    return Asked(
        forecast=forecast,
        quantity=quantity,
        point=point,
        model=loaded.name,
        device=device.name,
        metric=metric,
        said=tuple(said_of(precision, loaded, device)),
    )


def plain(value: "Expr") -> int | float | None:
    """A JSON number; null for an infinite one."""
    number = value.doit()
    if not number.is_finite:
        return None
    return int(number) if number.is_Integer else float(number)


def shown(value: "Expr", unit: str) -> str:
    """A number with its unit, for a table: sizes as plain numbers."""
    from lifesym.report.units import quantity  # noqa: PLC0415

    if not value.is_finite:
        return "∞"
    if unit in ("s", "byte", "byte/s", "FLOP/s", "FLOP", "J", "W", "token/s"):
        return quantity(value, unit)
    return f"{float(value):.6g}"


def apart(one: "Expr", other: "Expr", unit: str) -> tuple[str, str]:
    """Two numbers with as many digits, four or more, as it takes to tell them apart."""
    from lifesym.report.units import quantity  # noqa: PLC0415

    for digits in range(4, 16):
        pair = quantity(one, unit, digits), quantity(other, unit, digits)
        if pair[0] != pair[1]:
            break
    return pair
