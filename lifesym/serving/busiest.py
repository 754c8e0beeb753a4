r"""Tokens of the busiest of several devices that share the experts of a layer.

Each of m tokens chooses k of E experts, every set of k alike, and independently of the others; each
device has E/n of the experts. Device i gets $N_i$ choices, of mean $m k/n$, and a layer waits for
the device that gets most. $E[\max_i N_i]$ is exact for few tokens: every state of the sorted
counts, after one token more, by the number of ways into it. For many it is between two bounds that
need the distribution of one device alone, a sum of m hypergeometric counts:

$$\sum_{t \ge 0} 1 - P(N \le t)^n \;\le\; E[\max_i N_i] \;\le\;
\sum_{t \ge 0} \min(1,\; n\,P(N > t)).$$

The upper one is the union bound. The lower one holds since the counts are negatively associated:
$P(N_1 \le t, \dots, N_n \le t) \le \prod_i P(N_i \le t)$. Source: Joag-Dev and Proschan, Annals of
Statistics 11(1), 1983, sections 2 and 3 (permutation distributions, and sums of independent
vectors of that kind).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import comb

from sympy import Expr, Rational

from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.symbols import Size, size

_MOST_STATES = 3_000
_MOST_WORK = 400_000
"""Transitions of all the tokens together: about a second."""
_MOST_CHOICES = 2**15
_BITS = 128
"""Of the fixed point in which bounds are added up; the lower one is rounded down, the other up."""
_DIGIT = 40
"""Bytes of a digit that holds any sum of products of two numbers in fixed point."""


@dataclass(frozen=True, kw_only=True)
class Busiest:
    """The expected choices of the busiest device.

    Attributes:
        mean: those of a device on average.
        lower: no more than the expected maximum.
        upper: no less than it; equal to ``lower`` where it is exact.
    """

    mean: Expr
    lower: Expr
    upper: Expr

    @property
    def exact(self) -> bool:
        """Whether it is the expected maximum itself."""
        return bool(self.lower == self.upper)

    @property
    def imbalance(self) -> Expr:
        """The busiest device's work over the mean, at most: what ``imbalance=`` takes."""
        return self.upper / self.mean


@checked
def busiest(tokens: Size, experts: Size, active: Size, devices: Size) -> Busiest:
    r"""The expected choices of the busiest of ``devices``, $E[\max_i N_i]$, or bounds of it.

    Args:
        tokens: of all requests in the pass.
        experts: of a layer, E.
        active: that each token chooses, k.
        devices: that have E/n of them each.

    >>> found = busiest(2, 8, 2, 8)
    >>> found.lower, found.exact, found.mean
    (41/28, True, 1/2)
    >>> found = busiest(128, 8, 2, 8)
    >>> round(float(found.lower / found.mean), 3), round(float(found.imbalance), 3)
    (1.221, 1.257)

    Raises:
        SymbolError: a size that is no number, experts that do not divide or are fewer than a token
            chooses, or more choices than can be added up.
    """
    m, whole, k, n = (
        _number(value, word)
        for value, word in (
            (tokens, "tokens"),
            (experts, "experts"),
            (active, "active"),
            (devices, "devices"),
        )
    )
    if k > whole:
        raise SymbolError(f"active: {k} of {whole} experts cannot be chosen")
    if whole % n:
        raise SymbolError(f"devices: {whole} experts do not divide among {n}")
    if m * k > _MOST_CHOICES:
        raise SymbolError(
            f"tokens: {m * k} choices are more than {_MOST_CHOICES}, where the busiest device has "
            "the mean's load but for a few percent: give imbalance"
        )
    mean, held = Rational(m * k, n), whole // n
    if (counted := _counted(m, k, n, held)) is not None:
        return Busiest(mean=mean, lower=counted, upper=counted)
    lower, upper = _bounds(m, whole, k, n)
    return Busiest(mean=mean, lower=max(lower, mean), upper=upper)


def _number(value: Size, word: str) -> int:
    checked_size = size(value, word)
    if not checked_size.is_Integer:
        raise SymbolError(f"{word} must be a number here, not {value}")
    return int(checked_size)


def _counted(tokens: int, active: int, devices: int, held: int) -> Expr | None:
    """The expected maximum by all states of sorted counts; None where there are too many."""
    ways: dict[tuple[int, ...], int] = {(0,) * devices: 1}
    moves = list(islice(_moves(active, devices, held), _MOST_STATES))
    done = 0
    for _ in range(tokens):
        done += len(ways) * len(moves)
        if len(ways) > _MOST_STATES or len(moves) >= _MOST_STATES or done > _MOST_WORK:
            return None
        after: Counter[tuple[int, ...]] = Counter()
        for state, number in ways.items():
            for move, times in moves:
                moved = sorted(map(int.__add__, state, move), reverse=True)
                after[tuple(moved)] += number * times
        ways = after
    total = sum(ways.values())
    return Rational(sum(state[0] * number for state, number in ways.items()), total)


def _moves(active: int, devices: int, held: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """The counts that one token may add to devices of so many experts, and in how many ways."""
    if devices == 0:
        if active == 0:
            yield (), 1
        return
    for here in range(max(0, active - held * (devices - 1)), min(active, held) + 1):
        for rest, times in _moves(active - here, devices - 1, held):
            yield (here, *rest), comb(held, here) * times


def _bounds(tokens: int, experts: int, active: int, devices: int) -> tuple[Expr, Expr]:
    """Bounds of the expected maximum, from the distribution of one device's choices."""
    one, held = 1 << _BITS, experts // devices
    at_most = _cumulative(tokens, experts, active, held)
    lower = upper = 0
    for down, up in at_most:
        power = one
        for _ in range(devices):
            power = -(-power * up >> _BITS)  # rounded up, as the bound asks
        lower += one - min(power, one)
        upper += min(one, devices * (one - down))
    return Rational(lower, one), Rational(upper, one)


def _cumulative(tokens: int, experts: int, active: int, held: int) -> list[tuple[int, int]]:
    """P(N <= t) for t from 0 in fixed point, rounded down and up.

    A token's count is hypergeometric (of one expert a device, it is chosen or not).
    """
    one, ways = 1 << _BITS, comb(experts, active)
    single = [
        comb(held, chosen) * comb(experts - held, active - chosen) << _BITS
        for chosen in range(min(held, active) + 1)
    ]
    low = _sum_of([weight // ways for weight in single], tokens, up=False)
    high = _sum_of([-(-weight // ways) for weight in single], tokens, up=True)
    pairs, below, above = [], 0, 0
    for down, up in zip(low, high, strict=True):
        below, above = below + down, above + up
        pairs.append((min(below, one), min(above, one)))
    return pairs


def _sum_of(weights: list[int], times: int, *, up: bool) -> list[int]:
    """The distribution of a sum of independent counts, every product rounded down or up."""
    made = [1 << _BITS]
    for bit in bin(times)[2:]:
        made = _product(made, made, up=up)
        if bit == "1":
            made = _product(made, weights, up=up)
    return made


def _product(one: list[int], other: list[int], *, up: bool) -> list[int]:
    """Two polynomials multiplied as two large numbers, whose digits are their coefficients."""
    first, second = (
        int.from_bytes(b"".join(each.to_bytes(_DIGIT, "little") for each in side), "little")
        for side in (one, other)
    )
    count = len(one) + len(other) - 1
    digits = (first * second).to_bytes(_DIGIT * count, "little")
    found = [int.from_bytes(digits[_DIGIT * i : _DIGIT * (i + 1)], "little") for i in range(count)]
    return [-(-each >> _BITS) if up else each >> _BITS for each in found]
