"""What rewrites that split a model ask: a device's sizes, what shared experts are like."""

from typing import Any

from sympy import Expr, S, sympify

from lifesym.errors import SymbolError
from lifesym.nodes import Maximum
from lifesym.operators import Activation, Linear, Operator
from lifesym.trace import Trace


def once(trace: Trace, origin: str) -> None:
    """Refuse a second rewrite of a kind, which does not add up with the first.

    Raises:
        SymbolError: the trace has rows of such an origin.
    """
    if any(origin in entry.origin for entry in trace):
        raise SymbolError(f"the trace has {origin} already, which a second one does not add to")


def share(operator: Operator, field: str, n: Expr, name: str) -> Expr:
    """A device's part of a size.

    Raises:
        SymbolError: it does not divide.
    """
    whole: Any = sympify(getattr(operator, field))
    part: Expr = whole / n
    if part.is_Rational and not part.is_Integer:
        raise SymbolError(f"{name}: {field} = {whole} cannot be split over {n} devices")
    return part


def kept(operator: Operator, field: str, n: Expr, name: str) -> Expr:
    """A device's part of what is never split itself: at least one, where there are any.

    Raises:
        SymbolError: neither their number nor that of the devices divides the other.
    """
    whole: Any = sympify(getattr(operator, field))
    if whole.is_Integer and n.is_Integer and whole % n != 0 and n % whole != 0:
        raise SymbolError(f"{name}: {field} = {whole} and {n} devices do not divide")
    return whole if whole in (S.Zero, S.One) else Maximum(S.One, whole / n)


def shared_experts(trace: Trace) -> dict[int, str]:
    """What the operators of shared experts, which share one name, are like in a plain MLP.

    Projections before the activation are split by outputs and the one after it by inputs; a gate
    of the sum, one output a token, is repeated.
    """
    sides: dict[int, str] = {}
    before, activated, last = "", False, ""
    for i, entry in enumerate(trace):
        if not entry.name.startswith("moe_shared"):
            continue
        if entry.section != before:
            before, activated, last = entry.section, False, ""
        suffix = entry.name.removeprefix("moe_shared")
        if suffix:
            sides[i] = last + suffix
        elif isinstance(entry.operator, Linear):
            last = "mlp_up" if not activated else "mlp_down" if last == "mlp_up" else "moe_shared"
            sides[i] = last
        elif isinstance(entry.operator, Activation) and not activated:
            sides[i], activated = "mlp_act", True
    return sides
