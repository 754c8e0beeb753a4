"""Ranges of symbols that nobody gave, and where two sides meet that have points of their own."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from sympy import Expr, S, Symbol

from lifesym import symbols as sym
from lifesym.analysis.line import cut_short
from lifesym.analysis.meeting import Meeting, crossover
from lifesym.analysis.regime import Range
from lifesym.errors import SymbolError
from lifesym.nodes import Maximum
from lifesym.symbols import TABLE, exact

End: TypeAlias = float | Expr | None

_LONGEST = {"batch": 4096, "past": 131072, "prompt": 131072, "generated": 131072}
_LARGE = 65536
_AROUND = 1000
"""Where the range of a size ends, and how far that of a rate or a time goes around a value."""


def usual_range(symbol: Symbol, here: Expr | None, low: End = None, high: End = None) -> Range:
    """Ends that are wide enough for a symbol, around the value it has here; or those given."""
    row = TABLE[symbol]
    least: Any = row.minimum
    most: Any = row.maximum
    if row.whole:
        most = most or _LONGEST.get(row.word, _LARGE)
    else:
        around = here or 1
        least = around / _AROUND if least is None or here else least
        most = most if most is not None else around * _AROUND
    return (least if low is None else low), (most if high is None else high)


def possible(
    form: Any, point: Mapping[Symbol, Expr], symbol: Symbol, low: End = None, high: End = None
) -> tuple[End, End, Expr | None]:
    """Ends that were given, as far as they are possible, and the largest value that is, if any.

    A prefix ends before its prompt, and the model's table of positions has so many rows.

    Raises:
        SymbolError: an end that is not possible.
    """
    least, most = _possible(form, {**point, symbol: S.Zero}, symbol)
    word = TABLE[symbol].word
    if low is not None and least is not None and low < least:
        raise SymbolError(f"the range's beginning {low}: {word} is at least {least} here")
    if high is not None and most is not None and high > most:
        raise SymbolError(f"the range's end {high}: {word} is at most {most} here")
    return (least if low is None else low), high, most


def _possible(
    form: Any, at: Mapping[Symbol, Expr], symbol: Symbol
) -> tuple[Expr | None, Expr | None]:
    """The least and the most that a symbol may be, from what the others leave where it is 0."""
    plain = form
    while not hasattr(plain, "prefix"):
        if plain.main is plain:  # a network of images has no prompt
            return None, None
        plain = plain.main
    main, limit = plain.main, plain.main.model.context_limit
    prompt, prefix = main.prompt.xreplace(at), plain.prefix.xreplace(at)
    least = most = None
    if symbol == sym.prefix:
        most = prompt - 1
    if symbol == sym.prompt and not prefix.is_zero:
        least = 1 + prefix - prompt
    if limit is None:
        return least, most
    if symbol == sym.past:
        return least, S(limit - 1)
    if symbol == sym.generated:
        return least, limit - main.past - prompt + 1
    if symbol in main.prompt.free_symbols:
        return least, limit - main.past - prompt - Maximum(main.generate.xreplace(at) - 1, 0)
    return least, most


def usual_line(
    symbol: Symbol,
    here: Expr | None,
    sides: Iterable[Expr],
    low: End = None,
    high: End = None,
    steps: int | None = None,
) -> Range:
    """As `usual_range`; an end that was not given is moved if rounded quotients step too often.

    Args:
        symbol: the symbol that varies.
        here: the value it has.
        sides: the formulas, in the symbol alone.
        low: the lower end, if one was given.
        high: the upper end, if one was given.
        steps: the most steps, where fewer are wanted.
    """
    ends = usual_range(symbol, here, low, high)
    word = TABLE[symbol].word
    whole = exact(ends[0], word), exact(ends[1], word)
    cut = cut_short(sides, symbol, *whole, steps) if whole[0] < whole[1] else whole
    return (cut[0] if low is None else ends[0]), (cut[1] if high is None else ends[1])


def alone(expr: Expr, point: Mapping[Symbol, Expr], symbol: Symbol) -> Expr:
    """A side in one symbol, with the others at a point."""
    return expr.xreplace({other: value for other, value in point.items() if other != symbol})


def meetings(
    one: tuple[Expr, Mapping[Symbol, Expr]],
    two: tuple[Expr, Mapping[Symbol, Expr]],
    symbol: Symbol,
    ends: Range,
) -> tuple[Meeting, ...]:
    """Where two sides meet, each at a point of its own.

    With a formula in the other symbols where they have the same values.
    """
    shared = (one[0].free_symbols & two[0].free_symbols) - {symbol}
    if all(one[1][other] == two[1][other] for other in shared):
        values = {**one[1], **two[1]}
        others = {other: value for other, value in values.items() if other != symbol}
        return crossover(one[0], two[0], symbol, ends, others)
    return crossover(alone(*one, symbol), alone(*two, symbol), symbol, ends)
