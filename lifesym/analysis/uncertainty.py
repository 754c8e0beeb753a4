"""What uncertain symbols do to a quantity: the delta method, Monte Carlo, and Sobol indices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sympy import Expr, S, Symbol, sqrt

from lifesym.analysis.questions import Quantity, Values, formula, listed, point_of, symbol_of, title
from lifesym.analysis.regime import Range, span
from lifesym.analysis.sensitivity import local_elasticities
from lifesym.checks import checked
from lifesym.display import Tabular
from lifesym.errors import SymbolError
from lifesym.extras import needed
from lifesym.symbols import TABLE, By, Number, constant

if TYPE_CHECKING:
    import numpy as np

Distribution = Literal["uniform", "lognormal"]


@dataclass(frozen=True, kw_only=True)
class Spread(Tabular):
    """First-order propagation of independent errors.

    Attributes:
        value: the quantity at the point, exact.
        variance: its variance to first order, exact.
        parts: each symbol's part of the variance; they add up to 1 (or are all 0).
        name: what the quantity is.
        unit: its SI unit; empty of a bare expression.
    """

    value: Expr
    variance: Expr
    parts: dict[Symbol, Expr]
    name: str = ""
    unit: str = ""

    @property
    def deviation(self) -> Expr:
        """The standard deviation."""
        return sqrt(self.variance)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A Monte Carlo sample: mean, standard deviation and 5 %, 50 % and 95 % quantiles."""

    mean: float
    deviation: float
    quantiles: tuple[float, float, float]
    count: int


@dataclass(frozen=True, kw_only=True)
class GlobalIndices:
    """Sobol indices over a box: the part of the variance a symbol explains alone and in all.

    The intervals are SALib's 95 % bootstrap half-widths.
    """

    first: dict[Symbol, float]
    total: dict[Symbol, float]
    first_interval: dict[Symbol, float]
    total_interval: dict[Symbol, float]


@checked
def delta_method(quantity: Quantity, at: Values, deviations: By[Number]) -> Spread:
    r"""$\sigma_T^2 = \sum_x (\partial T / \partial x)^2 \sigma_x^2$, from the exact gradient.

    Args:
        quantity: a result or an expression.
        at: the point.
        deviations: the standard deviation of each uncertain symbol, in its unit.

    Raises:
        SymbolError: as `local_elasticities`; a negative deviation; or a tie at the point at which
            the two one-sided slopes differ, where the method does not apply.
    """
    values = point_of(quantity, at)
    chosen = _checked(quantity, deviations)
    value = formula(quantity).xreplace(values).doit()
    parts = {}
    for row in local_elasticities(quantity, at, of=chosen):
        if values[row.symbol] == 0:
            raise SymbolError(f"{row.word} is 0 at this point: use monte_carlo")
        slope = row.value * value / values[row.symbol]
        parts[row.symbol] = (slope * chosen[row.symbol]) ** 2
    variance = sum(parts.values(), S.Zero)
    whole = variance if variance != 0 else S.One
    return Spread(
        value=value,
        variance=variance,
        parts={symbol: part / whole for symbol, part in parts.items()},
        name=title(quantity),
        unit=getattr(quantity, "unit", ""),
    )


@checked
def monte_carlo(
    quantity: Quantity,
    at: Values,
    deviations: By[Number],
    *,
    samples: int = 10_000,
    seed: int = 0,
    distribution: Distribution = "lognormal",
) -> Sample:
    """The spread of a quantity by sampling, with no linearisation.

    Args:
        quantity: a result or an expression.
        at: the mean of every symbol.
        deviations: the standard deviation of each uncertain symbol.
        samples: how many points are drawn.
        seed: of the generator.
        distribution: ``lognormal`` (never negative) or ``uniform`` with that mean and deviation.

    Raises:
        SymbolError: an unknown symbol or distribution, a value missing or out of range, a
            deviation that is negative or not a number, or draws that leave a symbol's range.
    """
    import numpy as np  # noqa: PLC0415 (only where arrays are needed)

    if distribution not in ("lognormal", "uniform"):
        raise SymbolError(f"distribution must be lognormal or uniform, not {distribution!r}")
    _check_seed(seed)
    if samples < 2:
        raise SymbolError(f"samples must be at least 2, not {samples}")
    chosen = {symbol: float(sd) for symbol, sd in _checked(quantity, deviations).items()}
    values = point_of(quantity, at)
    random = np.random.default_rng(seed)
    columns = []
    for symbol, deviation in chosen.items():
        mean = float(values[symbol])
        if distribution == "uniform":
            half = 3**0.5 * deviation
            drawn = random.uniform(mean - half, mean + half, samples)
        else:
            if mean <= 0:
                raise SymbolError(f"{TABLE[symbol].word} is 0: a lognormal has a positive mean")
            shape = np.log1p((deviation / mean) ** 2)
            drawn = random.lognormal(np.log(mean) - shape / 2, shape**0.5, samples)
        _within(symbol, drawn, distribution)
        columns.append(drawn)
    times = _evaluated(quantity, tuple(chosen), values, np.stack(columns))
    return Sample(
        mean=float(times.mean()),
        deviation=float(times.std(ddof=1)),
        quantiles=tuple(float(q) for q in np.quantile(times, (0.05, 0.5, 0.95))),  # type: ignore[arg-type]
        count=samples,
    )


@checked
def sobol(
    quantity: Quantity,
    ranges: By[Range],
    at: Values | None = None,
    *,
    samples: int = 1024,
    seed: int = 0,
) -> GlobalIndices:
    """Global sensitivity by Sobol indices over ranges (extra ``gsa``).

    Every symbol is uniform in its range and independent of the others; samples x (symbols + 2)
    points are computed. Source: Saltelli et al., Comput. Phys. Commun. 181 (2010) 259, by SALib.

    Args:
        quantity: a result or an expression.
        ranges: the ends of each symbol that varies.
        at: the values of the others.
        samples: a power of two.
        seed: of the sequence.

    Raises:
        SymbolError: an unknown symbol, an empty range, or a value missing.
        LifesymError: SALib is not installed.
    """
    import numpy as np  # noqa: PLC0415 (only where arrays are needed)

    analysis, sampling = needed("SALib.analyze.sobol"), needed("SALib.sample.sobol")
    _check_seed(seed)
    if samples < 2 or samples & (samples - 1):
        raise SymbolError(f"samples must be a power of two, not {samples}")
    chosen = {symbol_of(quantity, name): ends for name, ends in ranges.items()}
    values = point_of(quantity, at or {}, free=chosen)
    bounds = [
        [float(end) for end in span(symbol, ends, quantity)] for symbol, ends in chosen.items()
    ]
    names = [symbol.name for symbol in chosen]
    problem = {"num_vars": len(chosen), "names": names, "bounds": bounds}
    points = sampling.sample(problem, samples, calc_second_order=False, seed=seed)
    times = _evaluated(quantity, tuple(chosen), values, np.asarray(points).T)
    result = analysis.analyze(problem, times, calc_second_order=False, seed=seed)

    def column(key: str) -> dict[Symbol, float]:
        return {s: float(index) for s, index in zip(chosen, result[key], strict=True)}

    return GlobalIndices(
        first=column("S1"),
        total=column("ST"),
        first_interval=column("S1_conf"),
        total_interval=column("ST_conf"),
    )


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise SymbolError(f"seed must be at least 0, not {seed}")


def _checked(quantity: Quantity, deviations: By[Number]) -> dict[Symbol, Expr]:
    """The deviations as exact numbers, at least one and none negative."""
    if not deviations:
        raise SymbolError("deviations is empty: name a symbol that is uncertain")
    chosen = {symbol_of(quantity, name): constant(sd, str(name)) for name, sd in deviations.items()}
    for symbol, deviation in chosen.items():
        if not deviation >= 0:
            raise SymbolError(f"the deviation of {TABLE[symbol].word} is negative: {deviation}")
    return chosen


def _within(symbol: Symbol, drawn: "np.ndarray[Any, Any]", distribution: str) -> None:
    """Draws that no device or workload can have are an error: a mean over them means nothing."""
    row = TABLE[symbol]
    least, most = float(drawn.min()), float(drawn.max())
    low = 0 if row.minimum is None else row.minimum
    rate = row.kind == "rate" and least <= 0
    if rate or least < low or (row.maximum is not None and most > row.maximum):
        ends = f"at least {low}" if row.maximum is None else f"from {low} to {row.maximum}"
        raise SymbolError(
            f"a {distribution} {row.word} of this deviation goes from {least:.4g} to {most:.4g}, "
            f"but must be {ends}: give a smaller deviation"
        )


def _evaluated(
    quantity: Quantity,
    symbols: Sequence[Symbol],
    values: Mapping[Symbol, Expr],
    columns: "np.ndarray[Any, Any]",
) -> "np.ndarray[Any, Any]":
    from lifesym.codegen.functions import on_grid  # noqa: PLC0415 (only where arrays are needed)

    fixed = {symbol: value for symbol, value in values.items() if symbol not in symbols}
    numeric = formula(quantity).xreplace(fixed).doit()
    if missing := numeric.free_symbols - set(symbols):
        raise SymbolError(f"{title(quantity)} also depends on {listed(missing)}")
    (found,) = on_grid([numeric], symbols)(*columns)
    made: np.ndarray[Any, Any] = found
    return made
