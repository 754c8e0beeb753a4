r"""Speculative decoding: several tokens a step, drafted cheaply and checked at once.

A draft model, or heads of the model itself, proposes $\gamma$ tokens; one pass of the target over
$\gamma + 1$ tokens checks them. Each is accepted with probability $\alpha$, independently, up to
the first refusal, and the target adds one of its own. So a step gives

$$E = \sum_{i=0}^{\gamma} \alpha^i = \frac{1 - \alpha^{\gamma + 1}}{1 - \alpha}$$

tokens, between 1 ($\alpha = 0$) and $\gamma + 1$. A model that drafts for itself has one prediction
module, which runs $\gamma$ times a step at growing contexts and keeps a cache of its own, filled by
a prefill of its own, as a draft model's is.
Sources: Leviathan et al., arXiv 2211.17192, Eq. 1 and Theorem 3.8; multi-token prediction:
Gloeckle et al., 2404.19737, section 2, and DeepSeek-V3, 2412.19437, section 2.2.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Add, Expr, S

from lifesym import symbols as sym
from lifesym.checks import checked
from lifesym.chunks import Chunks
from lifesym.errors import SymbolError
from lifesym.inference import Forecast
from lifesym.operators import Linear, LMHead, Norm
from lifesym.results import Result
from lifesym.roofline import Term, total
from lifesym.sums import sum_over
from lifesym.symbols import Number, Size, exact, index, size
from lifesym.trace import Entry, Logits, Trace
from lifesym.transforms import CachePolicy, Fusion


@checked
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
        if self.tokens.is_zero:
            return S.Zero
        if self.draft is None:
            step = total(self.target.timed(prediction_module(self.target)))
        else:
            step = self.draft.tpot.expr
        return sum_over(step.xreplace({sym.past: sym.past + index}), self.tokens)

    @cached_property
    def draft_prefill(self) -> Expr:
        """Time to fill the draft's cache: its prefill, or the module's over the same chunks."""
        if self.tokens.is_zero:
            return S.Zero
        if self.draft is not None:
            return self.draft.ttft.expr
        f = self.target
        cut = Chunks(prompt=f.prompt, chunk=f.prompt if f.chunk is None else f.chunk)
        last = f.timed(prediction_module(f, cut.last, f.past + cut.offset))
        if cut.before.is_zero:
            return total(last)
        body = prediction_module(f, cut.chunk, f.past + index * cut.chunk, logits="none")
        return sum_over(total(f.timed(body)), cut.before) + total(last)

    @cached_property
    def step(self) -> Result:
        """One speculative step at context `symbols.past`."""
        expr = self.drafting + total(self.terms)
        return Result(name="speculative step", unit="s", expr=expr, terms=self.terms)

    @cached_property
    def ttft(self) -> Result:
        """Time to first token: the target's prefill, and the draft's after it."""
        expr = self.target.ttft.expr + self.draft_prefill
        return Result(name="speculative TTFT", unit="s", expr=expr)

    @cached_property
    def memory(self) -> Result:
        """Bytes of both models' weights and caches; of the target and one module without a draft.

        Embedding and head of a module are the target's; where nothing is drafted there is none.
        """
        f = self.target
        more = S.Zero
        if self.draft is not None and not self.tokens.is_zero:
            more = self.draft.memory.expr
        elif not self.tokens.is_zero:
            module = prediction_module(f).filter(lambda entry: entry.section != "head")
            tokens = f.past + f.prompt + f.generate
            cached = f.precision.kv_bytes(f.local_batch * module.cache_elements(tokens))
            more = Add(*f.held(module).values()) + f.here("kv") * cached
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


@checked
def speculate(
    target: Forecast,
    draft: Forecast | None = None,
    tokens: Size = sym.draft,
    acceptance: Number = sym.acceptance,
) -> Speculation:
    """Speculative decoding with a draft model; without one, with multi-token prediction modules.

    Raises:
        SymbolError: forecasts of different batches or prompts, or an acceptance outside 0 to 1.
    """
    both = [f for f in (target, draft) if f is not None]
    if len({(f.local_batch, f.past, f.prompt) for f in both}) != 1:
        raise SymbolError("draft and target must have the same batch and prompt")
    gamma = size(tokens, "draft", minimum=0)
    expected_tokens(gamma, acceptance)
    return Speculation(
        target=target, draft=draft, tokens=gamma, acceptance=exact(acceptance, "acceptance")
    )


def prediction_module(
    forecast: Forecast, new: Expr = S.One, past: Expr = sym.past, logits: Logits = "last"
) -> Trace:
    """One multi-token prediction module: two norms, a projection of both inputs, a layer, the head.

    It is that of a pass over so many new tokens. The layer is one of the model's last kind, with a
    cache of its own; embedding and head are shared with the model.

    Raises:
        SymbolError: the model has no layer before its head.
    """
    fusions = [rewrite for rewrite in forecast.rewrites if isinstance(rewrite, Fusion)]
    others = tuple(
        replace(rewrite, share=1) if isinstance(rewrite, CachePolicy) else rewrite
        for rewrite in forecast.rewrites
        if not isinstance(rewrite, Fusion)
    )
    trace = replace(forecast, rewrites=others).trace(new, past, logits)
    ends = [entry for entry in trace if entry.section == "head"]
    headed = logits == "none" or any(isinstance(entry.operator, LMHead) for entry in ends)
    attention = [entry.section for entry in trace if entry.name == "attn_qk"]
    if not (headed and attention):
        raise SymbolError(f"{forecast.model.name} has no attention layer before a head to repeat")
    layer = [entry for entry in trace if entry.section == attention[-1]]
    rows = [
        replace(entry, count=S.One, copies=S.One, origin="prediction module") for entry in layer
    ]
    tokens, hidden = forecast.local_batch * new, forecast.stream_width
    front = rows[0]
    joined = Linear(tokens=tokens, in_features=2 * hidden, out_features=hidden, role="mtp_proj")
    inputs: tuple[Entry, ...] = (
        replace(front, name="mtp_norm", operator=Norm(rows=2 * tokens, features=hidden)),
        replace(front, name="mtp_proj", operator=joined),
    )
    module = Trace((*inputs, *rows, *ends))
    for fusion in fusions:  # last, as in a forecast: a fused layer has no attention to look for
        module = fusion(module)
    return module
