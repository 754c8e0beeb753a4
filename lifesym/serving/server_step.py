r"""A pass of a continuous-batching server: part of one prompt beside sequences that decode.

The pass computes $N_{\mathrm{pre}}$ tokens of a prompt after $T_{\mathrm{pre}}$ cached ones, and a
token for each of $B_{\mathrm{dec}}$ sequences that have $T_\Sigma$ cached tokens together. Any of
them may be 0: a pass without a prompt is a decode step, one without decodes a chunk. The part of a
prompt has a row of logits, as in vLLM, whether it ends the prompt or not.

Latent attention has the convention of decode steps in every pass, and a recurrent layer starts its
kernels for both kinds of sequences, be there any or not.

Attention is affine in a context, so that the sum of the contexts says it all. Windows, budgets and
pages are not affine: the sequences are then taken as equally long. That is an upper bound of what
windows and budgets leave, since a minimum is concave.
"""

from dataclasses import dataclass
from functools import cached_property

from sympy import Dummy, Expr, Mul, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.errors import SpecError
from lifesym.inference import Forecast
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.roofline import Term
from lifesym.serving.mixed import Group, mixed_trace
from lifesym.serving.one_pass import OnePass

ARGUMENTS = (sym.prefilled, sym.prefilled_past, sym.decodes, sym.contexts)
"""What a pass is a function of, beside the options."""
OF_PASS = ("step", "step_memory")
"""The metrics of a pass."""
_PREFILLS = Dummy("prefills", integer=True, nonnegative=True)
"""Sequences whose prompt the pass computes: 1 where it computes tokens of one, else 0."""


@dataclass(frozen=True, kw_only=True)
class ServerStep(OnePass):
    """A pass of a server, in `symbols.prefilled`, ``prefilled_past``, ``decodes``, ``contexts``."""

    forecast: Forecast

    @property
    def batch(self) -> Expr:
        """All sequences."""
        return sym.decodes + Minimum(S.One, sym.prefilled)

    @property
    def tokens(self) -> Expr:
        """A token for each of them."""
        return self.batch

    @cached_property
    def pass_terms(self) -> tuple[Term, ...]:
        """What runs in the pass."""
        mean = sym.contexts / sym.decodes
        groups = [
            Group(batch=_PREFILLS, new=sym.prefilled, past=sym.prefilled_past),
            Group(batch=sym.decodes, new=1, past=mean),
        ]
        terms = self.forecast.timed(mixed_trace(self.forecast, groups))
        return tuple(term.map(_without_shares) for term in terms)

    @property
    def kept(self) -> Expr:
        """Bytes of all caches after the pass."""
        f, mean = self.forecast, sym.contexts / sym.decodes
        prompt = f.cached(sym.prefilled_past + sym.prefilled, _PREFILLS)
        return _without_shares(prompt + f.cached(mean + 1, sym.decodes))


@checked
def server_step(forecast: Forecast) -> ServerStep:
    """A pass of a continuous-batching server under the options of a forecast.

    >>> import lifesym as ls
    >>> f = ls.forecast("llama-2-7b", "v100", prompt=512, generate=128)
    >>> step = server_step(f).beginning
    >>> alone = step.bind({"prefilled": 0, "prefilled_past": 0, "decodes": 1, "contexts": 512})
    >>> float(alone) == float(f.tpot.bind({"past": 512}))
    True

    Raises:
        SpecError: a model with an encoder, which runs before the first pass of a prompt.
        SymbolError: when it is asked anything, as `lifesym.serving.mixed_trace`.
    """
    if forecast.model.kind != "decoder":
        raise SpecError(
            f"{forecast.model.name} has an encoder, which no pass of a server has in it"
        )
    return ServerStep(forecast=forecast)


def _without_shares(expr: Expr) -> Expr:
    """Without a division by the sequences that decode, and the count of prompts where it is known.

    n min(a, c/n) is min(n a, c), and of a product that is 0 without prompt tokens the count is 1.
    """
    made = _spread(expr.replace(_counted, lambda product: product / _PREFILLS))
    made = made.replace(_counted, lambda product: product / _PREFILLS)
    made = made.replace(
        _by_blocks, lambda node: node.func(node.args[0], Maximum(S.One, node.args[1]))
    )
    at_least = Maximum(S.One, sym.decodes)  # what is left of the division has no sequence to be of
    return made.xreplace({_PREFILLS: Minimum(S.One, sym.prefilled), 1 / sym.decodes: 1 / at_least})


def _by_blocks(expr: Expr) -> bool:
    """Whether it divides by a number of blocks, of which a pass without tokens has none."""
    return isinstance(expr, FloorDiv | CeilDiv) and expr.args[1].has(sym.decodes)


def _counted(expr: Expr) -> bool:
    """Whether it is a product with the count of prompts that is 0 without their tokens."""
    if not (isinstance(expr, Mul) and _PREFILLS in expr.args):
        return False
    others = (expr / _PREFILLS).xreplace({sym.prefilled: S.Zero})
    return bool(others.doit().is_zero)


def _spread(expr: Expr) -> Expr:
    """With products multiplied out where the count or the division is in them."""
    if not (expr.has(_PREFILLS) or expr.has(1 / sym.decodes)) or not expr.args:
        return expr
    if not isinstance(expr, Mul):
        return expr.func(*map(_spread, expr.args))
    spread = expr.expand()
    return _together(expr) if isinstance(spread, Mul) else _spread(spread)


def _together(expr: Expr) -> Expr:
    """A product of which nothing is left to multiply out."""
    factors = list(map(_spread, Mul.make_args(expr)))
    shared = [f for f in factors if isinstance(f, Minimum) and f.has(1 / sym.decodes)]
    if shared and sym.decodes in factors:
        factors.remove(sym.decodes)
        factors.remove(shared[0])
        factors.append(Minimum(*((sym.decodes * arg).expand() for arg in shared[0].args)))
    return Mul(*factors)
