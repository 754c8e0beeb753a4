r"""Speculative decoding: several tokens a step, drafted cheaply and checked at once.

A draft model, or heads of the model itself, proposes $\gamma$ tokens; one pass of the target over
$\gamma + 1$ tokens checks them. Each is accepted with probability $\alpha$, independently, up to
the first refusal, and the target adds one of its own. So a step gives

$$E = \sum_{i=0}^{\gamma} \alpha^i = \frac{1 - \alpha^{\gamma + 1}}{1 - \alpha}$$

tokens, between 1 ($\alpha = 0$) and $\gamma + 1$.
Sources: Leviathan et al., arXiv 2211.17192, Eq. 1 and Theorem 3.8; multi-token prediction:
Gloeckle et al., 2404.19737, section 2, and DeepSeek-V3, 2412.19437, section 2.2.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.errors import SymbolError
from lifesym.inference import Forecast
from lifesym.operators import Linear, LMHead, Norm
from lifesym.results import Result
from lifesym.roofline import Term, total
from lifesym.sums import sum_over
from lifesym.symbols import Number, Size, exact, index, size
from lifesym.trace import Entry, Trace
from lifesym.transforms import Fusion


def expected_tokens(draft: Size = sym.draft, acceptance: Number = sym.acceptance) -> Expr:
    r"""Tokens that a speculative step gives on average.

    A polynomial in the acceptance for a whole number of drafted tokens, else the closed form,
    which needs an acceptance other than 1.

    >>> expected_tokens(2)
    acceptance**2 + acceptance + 1

    Raises:
        SymbolError: an acceptance outside 0 to 1.
    """
    gamma = size(draft, "draft", minimum=0)
    alpha = exact(acceptance, "acceptance")
    if alpha.is_number and not 0 <= alpha <= 1:
        raise SymbolError(f"acceptance must be between 0 and 1, not {acceptance}")
    if gamma.is_Integer:
        return Add(*(alpha**i for i in range(int(gamma) + 1)))
    if alpha is S.One:
        return gamma + 1
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)


@dataclass(frozen=True, kw_only=True)
class Speculation:
    """A target that checks what a draft proposes.

    Attributes:
        target: the forecast of the model whose tokens count.
        draft: the forecast of the draft model; None where the model drafts by itself.
        tokens: drafted tokens a step, gamma.
        acceptance: the chance that a drafted token is accepted, alpha.
    """

    target: Forecast
    draft: Forecast | None
    tokens: Expr
    acceptance: Expr

    @property
    def expected(self) -> Expr:
        """Tokens a step gives."""
        return expected_tokens(self.tokens, self.acceptance)

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The target's pass over the drafted tokens and one more, at context `symbols.past`."""
        trace = self.target.trace(self.tokens + 1, sym.past, logits="all")
        return self.target.timed(trace)

    @cached_property
    def drafting(self) -> Expr:
        """Time of gamma draft steps at growing contexts; of so many module passes without a draft.

        Catching up by the one token that the draft has not seen when all are accepted is left out.
        """
        if self.draft is None:
            return self.tokens * total(self.target.timed(prediction_module(self.target)))
        step = self.draft.tpot.expr.xreplace({sym.past: sym.past + index})
        return S.Zero if self.tokens.is_zero else sum_over(step, self.tokens)

    @cached_property
    def step(self) -> Result:
        """One speculative step at context `symbols.past`."""
        expr = self.drafting + total(self.terms)
        return Result(name="speculative step", unit="s", expr=expr, terms=self.terms)

    @cached_property
    def ttft(self) -> Result:
        """Time to first token: the target's prefill, and the draft model's after it."""
        drafts = S.Zero if self.draft is None else self.draft.ttft.expr
        return Result(name="speculative TTFT", unit="s", expr=self.target.ttft.expr + drafts)

    @cached_property
    def memory(self) -> Result:
        """Bytes of both models' weights and caches; of the target and one module without a draft.

        Embedding and head of a module are the target's.
        """
        f = self.target
        if self.draft is not None:
            more = self.draft.memory.expr
        else:
            module = prediction_module(f).filter(lambda entry: entry.section != "head")
            tokens = f.past + f.prompt + f.generate
            cached = f.precision.kv_bytes(f.local_batch * module.cache_elements(tokens))
            more = Add(*f.held(module).values()) + cached
        return Result(name="speculative memory", unit="byte", expr=f.memory.expr + more)

    @cached_property
    def tpot(self) -> Result:
        """Time per output token at context `symbols.past`: the step over its expected tokens."""
        return Result(name="speculative TPOT", unit="s", expr=self.step.expr / self.expected)

    @cached_property
    def speedup(self) -> Result:
        """How many times faster than decoding one token a step."""
        expr = self.target.tpot.expr / self.tpot.expr
        return Result(name="speedup", unit="1", expr=expr)


def speculate(
    target: Forecast,
    draft: Forecast | None = None,
    tokens: Size = sym.draft,
    acceptance: Number = sym.acceptance,
) -> Speculation:
    """Speculative decoding with a draft model; without one, with multi-token prediction modules.

    Raises:
        SymbolError: forecasts of different batches, or an acceptance outside 0 to 1.
    """
    if draft is not None and draft.local_batch != target.local_batch:
        raise SymbolError("draft and target must have the same batch")
    gamma = size(tokens, "draft", minimum=0)
    expected_tokens(gamma, acceptance)
    return Speculation(
        target=target, draft=draft, tokens=gamma, acceptance=exact(acceptance, "acceptance")
    )


def prediction_module(forecast: Forecast) -> Trace:
    """One multi-token prediction module: two norms, a projection of both inputs, a layer, the head.

    The layer is one of the model's last kind; embedding and head are shared with the model.

    Raises:
        SymbolError: the model has no layer before its head.
    """
    fusions = [rewrite for rewrite in forecast.rewrites if isinstance(rewrite, Fusion)]
    others = tuple(rewrite for rewrite in forecast.rewrites if not isinstance(rewrite, Fusion))
    trace = replace(forecast, rewrites=others).trace(S.One, sym.past)
    head = next((e.operator for e in trace if isinstance(e.operator, LMHead)), None)
    attention = [entry.section for entry in trace if entry.name == "attn_qk"]
    if head is None or not attention:
        raise SymbolError(f"{forecast.model.name} has no attention layer before a head to repeat")
    layer = [entry for entry in trace if entry.section == attention[-1]]
    rows = [
        replace(entry, count=S.One, copies=S.One, origin="prediction module") for entry in layer
    ]
    tokens, hidden = head.tokens, head.hidden
    front = rows[0]
    joined = Linear(tokens=tokens, in_features=2 * hidden, out_features=hidden, role="mtp_proj")
    inputs: tuple[Entry, ...] = (
        replace(front, name="mtp_norm", operator=Norm(rows=2 * tokens, features=hidden)),
        replace(front, name="mtp_proj", operator=joined),
    )
    ends = [entry for entry in trace if entry.section == "head"]
    module = Trace((*inputs, *rows, *ends))
    for fusion in fusions:  # last, as in a forecast: a fused layer has no attention to look for
        module = fusion(module)
    return module
