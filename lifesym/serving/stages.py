r"""A pipeline of equal stages, whose number may be a symbol.

Each of p stages has a p-th of every section's layers, on devices of one kind. With x seconds for
all layers, e for the embedding, h for the head and s to send the residual stream on, the first
stage takes $x/p + e + s$, those between $x/p + s$ and the last $x/p + h$; so for $p \ge 2$

$$\sum_i t_i = x + e + h + (p - 1)\,s, \qquad \max_i t_i = \frac{x}{p} + \max(e + s,\; h)$$

and one stage takes $x + e + h$. The formula's size does not depend on p, and at a number it is that
of `lifesym.serving.pipeline` with equal shares. Sources: as there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Add, Expr, S

from lifesym.checks import checked
from lifesym.inference import Forecast
from lifesym.nodes import Maximum, Minimum
from lifesym.results import Result
from lifesym.roofline import Term
from lifesym.serving.pipeline import hop, pieces_of, tied_copy
from lifesym.symbols import Size, size
from lifesym.tower import is_tower


@dataclass(frozen=True, kw_only=True)
class EqualStages:
    """A pipeline of equal stages on devices of one kind.

    Attributes:
        forecast: that of one microbatch on one device.
        stages: how many; a number or a symbol.
        microbatches: pieces of the batch.
    """

    forecast: Forecast
    stages: Expr
    microbatches: Expr

    @cached_property
    def ttft(self) -> Result:
        """The prefill of all microbatches."""
        added, slowest = self._prefill
        expr = added + (self.microbatches - 1) * slowest
        return Result(name="TTFT", unit="s", expr=expr)

    @cached_property
    def tpot(self) -> Result:
        """A decode step at context `symbols.past`, all microbatches in flight."""
        added, slowest = self._times(self.forecast.tpot.terms, S.One)
        expr = Maximum(added, self.microbatches * slowest)
        return Result(name="TPOT", unit="s", expr=expr)

    @cached_property
    def bubble(self) -> Result:
        """The share of the stages' time in which they wait, in the prefill."""
        busy = self.microbatches * self._prefill[0]
        expr = 1 - busy / (self.stages * self.ttft.expr)
        return Result(name="bubble", unit="1", expr=expr)

    @cached_property
    def memory(self) -> Result:
        """Bytes on the stage that holds most: its layers, their cache, and an end of the model."""
        f = self.forecast
        sections = f.one_token.group_by("section")
        held = dict.fromkeys(("embed", "head", "layers"), S.Zero)
        for label, trace in sections.items():
            held[_place(label)] += Add(*f.held(trace).values())
        embed, head = held.pop("embed"), held.pop("head")
        layers = (Add(*held.values()) + self.microbatches * f.cache_bytes) / self.stages
        apart = Maximum(embed, head + tied_copy(f))
        expr = layers + self._several * apart + (1 - self._several) * (embed + head)
        return Result(name="memory of a stage", unit="byte", expr=expr)

    @property
    def _several(self) -> Expr:
        """0 for one stage, else 1."""
        return Minimum(self.stages - 1, 1)

    @cached_property
    def _prefill(self) -> tuple[Expr, Expr]:
        return self._times(self.forecast.ttft.terms, self.forecast.prompt)

    def _times(self, terms: Iterable[Term], new: Expr) -> tuple[Expr, Expr]:
        """The sum of the stages' times, and the longest of them."""
        seconds = {"embed": S.Zero, "head": S.Zero, "layers": S.Zero}
        for term in terms:
            seconds[_place(term.section)] += term.time
        embed, head, layers = seconds.values()
        sent = S.Zero if self.stages is S.One else hop(self.forecast, new)
        ends = self._several * Maximum(embed + sent, head)
        ends += (1 - self._several) * (embed + head)
        return layers + embed + head + (self.stages - 1) * sent, layers / self.stages + ends


def _place(section: str) -> str:
    """Whether a section is at an end or among the layers; towers are where the embedding is."""
    if is_tower(section):
        return "embed"
    return section if section in ("embed", "head") else "layers"


@checked
def equal_stages(forecast: Forecast, stages: Size, microbatches: Size = 1) -> EqualStages:
    """Cut a model into equal stages, as many as a number or a symbol says.

    A stage need not have a whole number of layers: it is the ideal cut.

    Raises:
        SymbolError: not a size, or a batch that the microbatches do not divide.
    """
    pieces = pieces_of(forecast, microbatches)
    return EqualStages(
        forecast=replace(forecast, batch=forecast.batch / pieces),
        stages=size(stages, "stages"),
        microbatches=pieces,
    )
