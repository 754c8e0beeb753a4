r"""Symbols of one's own: rows that a user adds to the notation table.

What no row of `lifesym.symbols` stands for, such as the signal-to-noise ratio of a link, gets one
here. From then on it is a symbol like ours: bound, printed, differentiated, solved for, swept and
compiled by its name, and a rate may be an expression of it.
"""

import re
from typing import Any

from sympy import Integer, Symbol

from lifesym.checks import checked, shown
from lifesym.errors import SymbolError
from lifesym.identifiers import identifier
from lifesym.symbol_table import BY_NAME, End, row
from lifesym.symbols import TABLE, Kind, Number, constant, index, is_own

_OURS = frozenset(BY_NAME) | {index.name}
_TOKEN = re.compile(r"\\[A-Za-z]+|\\[_,;:! ]|[A-Za-z0-9]|[_^{}']|[ ,.:;+*/()<>=-]")
_NO_SYMBOLS = "left|right|begin|end|input|include|write|read|open|def|let|catcode|csname|special"
_BASE = re.compile(rf"[A-Za-z]|\\(?!{_NO_SYMBOLS})[A-Za-z]+")
"""What may stand outside of braces, beside scripts and primes."""


@checked
def symbol(
    word: str,
    *,
    meaning: str,
    unit: str = "1",
    latex: str | None = None,
    kind: Kind = "ratio",
    minimum: Number | None = None,
    maximum: Number | None = None,
) -> Symbol:
    r"""A symbol of one's own, which lifesym then knows like one of its table.

    Args:
        word: its name, which is also its identifier in compiled formulas.
        meaning: what it stands for, in the legend.
        unit: its SI unit.
        latex: how it is printed; the word in upright letters (one letter as it is) unless given.
        kind: ``size`` and ``bits`` are whole numbers, in a design's answer too. The others say what
            it is where it costs nothing: a ``rate`` without limit, a ``time`` or ``energy`` zero, a
            ``ratio`` at its maximum.
        minimum: its smallest value; unless given it is above zero, of whole numbers at least 1.
        maximum: its largest value; none unless given.

    Made again with the same facts it is the same symbol.

    Raises:
        SymbolError: a word or LaTeX that is another symbol's, a word that some target language
            reserves, LaTeX that is no single symbol, no meaning, an empty range, or other facts
            than it was made with before.

    >>> from sympy import log
    >>> from lifesym import symbols as sym
    >>> snr = symbol("snr", latex=r"\rho", meaning="signal-to-noise ratio of the link")
    >>> sym.bind(log(1 + snr, 2), {"snr": 15})
    log(16)/log(2)
    >>> snr == symbol("snr", latex=r"\rho", meaning="signal-to-noise ratio of the link")
    True
    """
    identifier(word, "word")
    if word in _OURS or is_own(word):
        raise SymbolError(
            f"word {word!r} is a symbol of lifesym's: take it from lifesym.symbols, or another word"
        )
    whole = kind in ("size", "bits")
    facts: dict[str, Any] = {
        "latex": _default(word) if latex is None else latex,
        "unit": _line(unit, f"{word}: unit"),
        "meaning": _line(meaning, f"{word}: meaning"),
        "kind": kind,
        "minimum": 1 if whole and minimum is None else _end(minimum, f"{word}: minimum", whole),
        "maximum": _end(maximum, f"{word}: maximum", whole),
    }
    if word in BY_NAME:
        return _again(word, facts)
    _check_latex(word, facts["latex"])
    low, high = facts["minimum"], facts["maximum"]
    if high is not None and (high <= 0 if low is None else high < low):
        least = "above 0" if low is None else f"at least {low}"
        raise SymbolError(f"{word}: nothing is {least} and at most {high}")
    return row(word, **facts)


def _again(word: str, facts: dict[str, Any]) -> Symbol:
    """The symbol that was made before with the same facts."""
    made = TABLE[BY_NAME[word]]
    for name, value in facts.items():
        if getattr(made, name) != value:
            raise SymbolError(
                f"symbol {word!r} was made with {name} {getattr(made, name)!r}, not {value!r}: "
                "give the same facts, or another word"
            )
    return made.symbol


def _default(word: str) -> str:
    return word if len(word) == 1 else rf"\mathrm{{{word}}}".replace("_", r"\_")


def _line(text: str, what: str) -> str:
    if not text.isprintable() or text.strip() != text or not text:
        raise SymbolError(f"{what} must be one line of text, not {shown(text)}")
    return text


def _end(value: Number | None, what: str, whole: bool) -> End | None:
    if value is None:
        return None
    number = constant(value, what)
    if not number.is_Rational or (whole and not number.is_Integer):
        kind = "a whole number" if whole else "a rational number"
        raise SymbolError(f"{what} must be {kind}, not {number}")
    return int(number) if isinstance(number, Integer) else number


def _check_latex(word: str, latex: str) -> None:
    """Refuse LaTeX that does not print one symbol in a formula, a table and a legend."""
    holder = next((each for each in TABLE.values() if each.latex == latex), None)
    if holder is not None:
        raise SymbolError(f"{word}: the LaTeX {latex!r} is that of {holder.word!r}: give another")
    if not one_symbol(latex):
        raise SymbolError(
            f"{word}: the LaTeX {latex!r} is no single symbol: write a letter, or a command and "
            r"its braces, with at most one sub- and superscript, such as '\\rho_{\\mathrm{up}}'"
        )


def one_symbol(latex: str) -> bool:
    r"""Whether LaTeX prints one symbol: a letter or a command, its braces, a script of each kind.

    >>> [one_symbol(text) for text in (r"\rho_{\mathrm{up}}", "d_{2}", "a b", r"\input", "x_1_2")]
    [True, True, False, False, False]
    """
    parts = _TOKEN.findall(latex)
    return "".join(parts) == latex and _is_symbol(parts)


def _is_symbol(parts: list[str]) -> bool:
    """Whether it is a letter or a command with its braces, and at most one script of a kind."""
    scripts: list[set[str]] = [set()]  # of the last base, at every depth of braces
    due = False  # what a script is put on is still to come
    for i, part in enumerate(parts):
        if len(scripts) == 1 and not _fits_outside(part, first=i == 0, due=due):
            return False
        if part in "_^}" and (due or part in scripts[-1] or (part == "}" and len(scripts) == 1)):
            return False
        if part in "_^":
            scripts[-1].add(part)
        elif part == "}":
            scripts.pop()
        elif part == "{":
            scripts.append(set())
        elif not due and len(scripts) > 1:  # a new base, whose scripts are its own
            scripts[-1].clear()
        due = part in "_^"
    return bool(parts) and len(scripts) == 1 and not due


def _fits_outside(part: str, *, first: bool, due: bool) -> bool:
    """Whether a part may stand there outside of braces: one base, its braces and its scripts."""
    if first or due:
        return bool(_BASE.fullmatch(part)) or (due and (part == "{" or part.isdigit()))
    return part in "_^{}'"
