r"""What devices of different speed share: work, or the bandwidth of one medium."""

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import Add, Expr, N, Rational, S, sqrt

from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.nodes import Maximum
from lifesym.symbols import Number, exact

_CLOSE = Rational(1, 2**60)
"""The relative width of a bracket of which the upper end is taken."""
_DIGITS = 40
"""To which irrational numbers are evaluated before a bracket is halved."""


@checked
def balanced_shares(times: Sequence[Expr]) -> tuple[Expr, ...]:
    r"""The shares of work with which devices of different speed finish together.

    Device i alone would take $T_i$; its share is $s_i = T_i^{-1} / \sum_j T_j^{-1}$ and all of them
    take $1 / \sum_j T_j^{-1}$.

    >>> from sympy import Integer
    >>> balanced_shares([Integer(1), Integer(3)])
    (3/4, 1/4)
    """
    speeds = Add(*(1 / time for time in times))
    return tuple(1 / time / speeds for time in times)


@checked
def shared_time(times: Sequence[Expr], shares: Sequence[Number]) -> Expr:
    """The time of work split over devices side by side: that of the last to finish.

    Raises:
        SymbolError: not one share a device.
    """
    if len(times) != len(shares):
        raise SymbolError(f"{len(times)} devices need as many shares")
    return Maximum(*(exact(share) * time for share, time in zip(shares, times, strict=True)))


@dataclass(frozen=True, kw_only=True)
class SharedBandwidth:
    """A bandwidth that devices share so that they finish together.

    Attributes:
        time: when they do, in seconds.
        parts: the bandwidth of each, in the unit of the whole.
    """

    time: Expr
    parts: tuple[Expr, ...]


@checked
def balanced_bandwidth(
    loads: Sequence[Number], bandwidth: Number, fixed: Sequence[Number] | Number = 0
) -> SharedBandwidth:
    r"""The split of a bandwidth B with which the last of several devices finishes first.

    Device i takes $a_i / B_i + c_i$ with a part $B_i$ of it. The longest time is least where all
    are equal, as more for one is less for another: $\sum_i a_i / (T - c_i) = B$, and then
    $B_i = a_i / (T - c_i)$. With equal fixed times c,

    $$T = c + \frac{1}{B} \sum_i a_i, \qquad B_i = B\,\frac{a_i}{\sum_j a_j};$$

    with two different ones it is the larger root of a quadratic. With more it is solved in numbers,
    and T is at most $2^{-60}$ of it above the root, so that the parts never exceed B.

    Args:
        loads: $a_i$, seconds times bandwidth: of a radio link bits over bits a hertz, so that B is
            in Hz; of a shared wire bytes, so that B is in byte/s.
        bandwidth: B.
        fixed: $c_i$, such as the time to compute; one for all, or of each.

    >>> split = balanced_bandwidth([3, 1], 2, 5)
    >>> split.time, split.parts
    (7, (3/2, 1/2))
    >>> balanced_bandwidth([6, 2], 4, [0, 1]).time
    sqrt(3)/2 + 3/2
    >>> float(balanced_bandwidth([2, 3, 4], 3.5, [1, 2, 3]).time)
    5.0

    Raises:
        SymbolError: no device, not one fixed time a device, a load or bandwidth that is not above
            zero, a negative time, or symbols where three fixed times or more differ.
    """
    whole = exact(bandwidth, "bandwidth")
    needs = tuple(exact(load, "load") for load in loads)
    given = fixed if isinstance(fixed, Sequence) else [fixed] * len(needs)
    times = tuple(exact(each, "fixed time") for each in given)
    if not needs or len(times) != len(needs):
        raise SymbolError(f"balanced_bandwidth: {len(needs)} loads and {len(times)} fixed times")
    if any(each.is_nonpositive for each in (*needs, whole)):
        raise SymbolError("balanced_bandwidth: loads and the bandwidth must be above 0")
    if any(each.is_negative for each in times):
        raise SymbolError("balanced_bandwidth: a fixed time must not be negative")
    alike = {c: Add(*(a for a, at in zip(needs, times, strict=True) if at == c)) for c in times}
    time = _together(alike, whole)
    return SharedBandwidth(
        time=time, parts=tuple(a / (time - c) for a, c in zip(needs, times, strict=True))
    )


def _together(alike: dict[Expr, Expr], whole: Expr) -> Expr:
    """When devices finish together, from the loads of each fixed time."""
    if len(alike) == 1:
        ((fixed, load),) = alike.items()
        return fixed + load / whole
    if len(alike) == 2:
        (c, a), (d, b) = alike.items()
        gap = c - d + (a - b) / whole
        return (c + d + (a + b) / whole + sqrt(gap**2 + 4 * a * b / whole**2)) / 2
    if any(each.free_symbols for each in (whole, *alike, *alike.values())):
        raise SymbolError(
            "balanced_bandwidth: where three fixed times or more differ, all must be numbers"
        )
    return _solved([(_number(c), _number(a)) for c, a in alike.items()], _number(whole))


def _number(value: Expr) -> Rational:
    return value if value.is_Rational else Rational(str(N(value, _DIGITS)))


def _solved(pairs: list[tuple[Rational, Rational]], whole: Rational) -> Rational:
    """The upper end of a bracket of the root, which halving made narrow."""
    longest = max(c for c, _ in pairs)
    low, high = longest, longest + Add(*(a for _, a in pairs)) / whole
    if _asked(pairs, high) == whole:
        return high
    while high - low > _CLOSE * high:
        middle = (low + high) / 2
        if _asked(pairs, middle) > whole:
            low = middle
        else:
            high = middle
    return high


def _asked(pairs: list[tuple[Rational, Rational]], time: Rational) -> Rational:
    """The bandwidth with which all have finished at a time beyond every fixed one."""
    if any(time <= c for c, _ in pairs):
        return S.Infinity
    return Add(*(a / (time - c) for c, a in pairs))
