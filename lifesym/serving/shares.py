"""Work split over devices of different speed."""

from collections.abc import Sequence

from sympy import Add, Expr

from lifesym.checks import checked
from lifesym.errors import SymbolError
from lifesym.nodes import Maximum
from lifesym.symbols import Number, exact


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
