r"""How symbols are spelt in LaTeX: the table's letters, a published notation, or one's own.

`notation` changes the letters of everything that is printed inside it: equations, legends, tables,
documents and the axes of figures. A symbol whose own letter goes to another one is spelt
$n_{\mathrm{word}}$ there, so that no two are alike.

Sources of the published notations: ``megatron``, Korthikanti et al., "Reducing Activation
Recomputation in Large Transformer Models", arXiv 2205.05198, Table 1; ``pope``, Pope et al.,
"Efficiently Scaling Transformer Inference", arXiv 2211.05102, section 3; ``kaplan``, Kaplan et al.,
"Scaling Laws for Neural Language Models", arXiv 2001.08361, section 2.1.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from sympy import Symbol

from lifesym.checks import shown
from lifesym.errors import SymbolError, nearest
from lifesym.own_symbols import one_symbol
from lifesym.symbol_table import BY_NAME, By
from lifesym.symbols import TABLE, resolve

STYLES: dict[str, dict[str, str]] = {
    "lifesym": {},
    "megatron": {
        "heads": "a",
        "batch": "b",
        "hidden": "h",
        "layers": "L",
        "stages": "p",
        "prompt": "s",
        "sequence": "s",
        "devices": "t",
        "vocab": "v",
    },
    "pope": {
        "batch": "B",
        "prompt": "L",
        "hidden": "E",
        "intermediate": "F",
        "heads": "H",
        "head_dim": "Q",
        "devices": "n_chips",
        "layers": "n_layers",
    },
    "kaplan": {
        "layers": "n_layer",
        "hidden": "d_model",
        "intermediate": "d_ff",
        "heads": "n_heads",
        "prompt": "n_ctx",
        "vocab": "n_vocab",
    },
}
_ALIKE = frozenset({"prompt", "sequence"})
"""Symbols that no formula has both of: a prompt's length, and that of a training sequence."""
_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"),
)
_LETTERS = {chr(0x03B1 + i): name for i, name in enumerate(_GREEK[:14])} | {
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "φ": "phi",
    "χ": "chi",
    "ψ": "psi",
    "ω": "omega",
}
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ ,-]*")

_chosen: ContextVar[Mapping[Symbol, str] | None] = ContextVar("notation", default=None)


def spelling(symbol: Symbol) -> str:
    """The LaTeX of a symbol of the table, in the notation in use."""
    return (_chosen.get() or {}).get(symbol) or TABLE[symbol].latex


def letter(symbol: Symbol) -> str:
    """A symbol's letter in the notation in use, in plain text."""
    return _in_text(spelling(symbol))


def _in_text(latex: str) -> str:
    return re.sub(r"\\math[a-z]+\{|[{}\\]", "", latex)


def spelt(name: str) -> str:
    r"""LaTeX of a name: a letter as it is, Greek by its name, words upright, ``_`` a subscript.

    >>> [spelt(name) for name in ("x", "beta", "pi_v", "d_model", "kv_bytes", r"\hat{T}")]
    ['x', '\\beta', '\\pi_{\\mathrm{v}}', 'd_{\\mathrm{model}}', '\\mathrm{kv~bytes}', '\\hat{T}']

    Raises:
        SymbolError: what is neither a name nor LaTeX of a symbol.
    """
    if "\\" in name or "{" in name:
        if not one_symbol(name):
            raise SymbolError(f"{shown(name)} is no LaTeX of a symbol")
        return name
    for letter, word in _LETTERS.items():
        name = name.replace(letter, word)
    if not _PLAIN.fullmatch(name):
        raise SymbolError(f"{shown(name)} is no name: letters, digits and _")
    base, _, script = name.partition("_")
    if len(base) > 1 and base not in _GREEK and (script[:1].islower() or not script):
        return rf"\mathrm{{{name.replace('_', '~').replace(' ', '~')}}}"
    head = _word(base)
    return (
        rf"{head}_{{{','.join(_script(part) for part in script.split('_'))}}}" if script else head
    )


def _word(text: str) -> str:
    if text in _GREEK:
        return f"\\{text}"
    return text if len(text) == 1 else rf"\mathrm{{{text.replace(' ', '~')}}}"


def _script(text: str) -> str:
    return text if text.isdigit() else rf"\mathrm{{{text.replace(' ', '~')}}}"


@contextmanager
def notation(style: str = "", names: By[str] | None = None) -> Iterator[None]:
    r"""Letters for everything that is printed inside it.

    Args:
        style: ``lifesym``, ``megatron``, ``pope`` or ``kaplan``; or pairs such as
            ``d=h,prompt=s``, with or without a style before them: ``megatron,past=t_0``.
        names: the same pairs as a mapping: a word of the table, or its own letter, and a name or
            LaTeX.

    Raises:
        SymbolError: an unknown style or symbol, or one letter for two symbols.

    >>> import lifesym as ls
    >>> from lifesym import symbols as sym
    >>> with notation("megatron"):
    ...     print(ls.latex(24 * sym.batch * sym.prompt * sym.hidden**2))
    24\,b\,s\,h^{2}
    >>> with notation("d=h"):
    ...     print(ls.latex(sym.hidden / sym.heads))
    \frac{h}{n_{\mathrm{heads}}}
    """
    letters = _letters(style, names or {})
    token = _chosen.set(letters)
    try:
        yield
    finally:
        _chosen.reset(token)


def _letters(style: str, names: By[str]) -> dict[Symbol, str]:
    """The LaTeX of every symbol that is not spelt as in the table."""
    pairs: dict[Symbol, str] = {}
    for part in filter(None, (piece.strip() for piece in style.split(","))):
        word, given, letter = part.partition("=")
        if given and not word.strip():
            raise SymbolError(f"no symbol before = in {part}: pairs are such as d=h,prompt=s")
        if given:
            pairs[_named(word.strip())] = spelt(letter.strip())
        elif word in STYLES:
            pairs |= {resolve(name): spelt(letter) for name, letter in STYLES[word].items()}
        else:
            raise SymbolError(
                f"unknown notation {word!r}{nearest(word, STYLES)}: one of {', '.join(STYLES)}, or "
                "pairs such as d=h,prompt=s"
            )
    pairs |= {_named(word): spelt(letter) for word, letter in names.items()}
    holders: dict[str, Symbol] = {}
    for symbol, letter in pairs.items():
        other = holders.setdefault(letter, symbol)
        if other != symbol and {TABLE[other].word, TABLE[symbol].word} != _ALIKE:
            raise SymbolError(
                f"{TABLE[other].word} and {TABLE[symbol].word} would both be spelt {letter}"
            )
    taken = {*holders, *(row.latex for row in TABLE.values())}
    for symbol, row in TABLE.items():
        if symbol not in pairs and row.latex in holders:
            word = row.word.replace("_", "~")
            letters = (rf"n_{{\mathrm{{{word}}}}}", rf"\mathrm{{{word}}}")
            pairs[symbol] = next((each for each in letters if each not in taken), "")
            if not pairs[symbol]:
                raise SymbolError(f"no letter is left for {row.word}: give it one")
    return pairs


def _named(word: str | Symbol) -> Symbol:
    """A symbol by its word or by its letter in the table."""
    if isinstance(word, str) and word not in BY_NAME:
        plain = word.replace(" ", "")
        for symbol, row in TABLE.items():
            if plain in (_in_text(row.latex), row.latex):
                return symbol
    return resolve(word)
