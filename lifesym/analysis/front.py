"""The options that no other option beats in everything."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from lifesym.checks import checked, shown
from lifesym.errors import SymbolError

Option = TypeVar("Option", bound=Hashable)


@checked
def pareto(
    options: Mapping[Option, Sequence[Any]] | Iterable[Option],
    objectives: Callable[[Option], Sequence[Any]] | None = None,
) -> dict[Option, tuple[Any, ...]]:
    """The Pareto front of discrete options: smaller is better in every objective.

    An option is left out if another is at least as good in everything and better in something;
    options that are equal in everything stay together. Negate what should be large.

    Args:
        options: each option with its objectives' numbers, or the options alone.
        objectives: the numbers of an option, if they are not given with it.

    Raises:
        SymbolError: objectives of different lengths, or one that is not a number.

    >>> pareto({"a": (1, 9), "b": (2, 2), "c": (3, 3), "d": (9, 1)})
    {'a': (1, 9), 'b': (2, 2), 'd': (9, 1)}
    """
    if isinstance(options, Mapping):
        given = dict(options)
    elif objectives is not None:
        given = {option: objectives(option) for option in options}
    else:
        raise SymbolError("give the objectives of each option")
    for option, numbers in given.items():
        if not isinstance(numbers, Iterable):
            raise SymbolError(f"the objectives of {option} must be a list, not {shown(numbers)}")
    scores = {option: tuple(numbers) for option, numbers in given.items()}
    if len({len(score) for score in scores.values()}) > 1:
        raise SymbolError("every option needs the same objectives")
    for option, score in scores.items():
        if any(number != number for number in score):  # noqa: PLR0124 (only nan differs from itself)
            raise SymbolError(f"an objective of {option} is not a number")
    return {
        option: score
        for option, score in scores.items()
        if not any(_beats(other, score) for other in scores.values())
    }


def _beats(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
