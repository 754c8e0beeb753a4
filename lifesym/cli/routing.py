"""How tokens choose experts, from the options of the command line."""

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifesym.cli.options import MODELLING

if TYPE_CHECKING:
    from lifesym.operators import Routing

Probabilities = Annotated[
    str | None,
    typer.Option(
        "--probabilities",
        metavar="P,...",
        help="Chance of each expert to be among a token's, or a file of them: skewed routing.",
        rich_help_panel=MODELLING,
    ),
]
Imbalance = Annotated[
    float | None,
    typer.Option(
        "--imbalance",
        metavar="X",
        help="Experts' work done over work needed.",
        rich_help_panel=MODELLING,
    ),
]

_PLAIN = re.compile(r"[\d./+-]{1,40}([eE][+-]?\d{1,2})?")
"""Numbers of which a fraction can be made in no time: a large exponent would take hours."""
_LONGEST_PATH = 4096


def chosen_routing(options: dict[str, Any]) -> "Routing":
    """The rule that ``routing``, ``probabilities`` and ``imbalance`` describe; it takes them out.

    Raises:
        SpecError: probabilities that are no numbers, or beside a rule that has none.
        SymbolError: what `Routing` raises.
    """
    from lifesym.errors import SpecError  # noqa: PLC0415 (SymPy only where a command needs it)
    from lifesym.operators import Routing  # noqa: PLC0415

    kind: Any = options.pop("routing", None) or "uniform"
    text = options.pop("probabilities", None)
    factor = options.pop("imbalance", None)
    imbalance = 1 if factor is None else factor
    if text is None:
        return Routing(kind=kind, imbalance=imbalance)
    if kind != "uniform":
        raise SpecError(f"--probabilities are a routing of their own: leave out --routing {kind}")
    return Routing(kind="skewed", probabilities=_numbers(text), imbalance=imbalance)


def _numbers(text: str) -> tuple[Fraction, ...]:
    """Decimals or fractions, separated by commas or white space; or those in a file."""
    from lifesym.errors import SpecError  # noqa: PLC0415
    from lifesym.specs import read_text  # noqa: PLC0415

    if "," not in text and len(text) < _LONGEST_PATH and Path(text).is_file():
        text = read_text(Path(text))
    numbers = []
    for part in text.replace(",", " ").split():
        try:
            if not _PLAIN.fullmatch(part):
                raise ValueError
            numbers.append(Fraction(part))
        except (ValueError, ZeroDivisionError):
            raise SpecError(f"--probabilities: {part[:40]!r} is not a number") from None
    return tuple(numbers)
