"""Rewrites of a training step: nothing is cached, dropout, and the backward pass.

`Uncached` and `Dropouts` change the forward pass, before fusion; `backward` is the trace of the
gradients, and `recomputed` what is computed once more before them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from lifesym.formats import Format
from lifesym.operators import (
    AttentionScores,
    AttentionValues,
    Backward,
    CacheCopy,
    Collective,
    CrossEntropy,
    Dropout,
    KVAppend,
    LatentExpand,
    Linear,
    LMHead,
    Residual,
    Softmax,
)
from lifesym.trace import Entry, Trace
from lifesym.transforms.fusion import CORE

Recompute = Literal["none", "selective", "full"]
ORIGIN = "training"


@dataclass(frozen=True, kw_only=True)
class Uncached:
    """Keys and values are activations: nothing is appended to a cache or copied in it.

    The head's logits go on to a loss, and are not gathered on one device.
    """

    def __call__(self, trace: Trace) -> Trace:
        """The trace of a forward pass whose results are kept for gradients."""
        return Trace(tuple(row for entry in trace for row in self._rows(entry)))

    def _rows(self, entry: Entry) -> Iterator[Entry]:
        operator = entry.operator
        mark = replace(entry, origin=ORIGIN)
        if isinstance(operator, KVAppend | CacheCopy) or entry.name == "lm_head_all_gather":
            return
        if isinstance(operator, AttentionScores | AttentionValues):
            yield replace(mark, operator=replace(operator, cached=False))
        elif isinstance(operator, LatentExpand):
            yield replace(mark, operator=_plain(operator))
        elif isinstance(operator, LMHead):
            yield entry
            loss = CrossEntropy(tokens=operator.tokens, vocab=operator.vocab)
            yield replace(mark, name="loss", operator=loss)
        else:
            yield entry


def _plain(operator: LatentExpand) -> Linear:
    """A product with latents that are activations."""
    kept: dict[str, Any] = {
        name: getattr(operator, name)
        for name in ("tokens", "in_features", "out_features", "bias", "role", "part")
    }
    return Linear(**kept)


@dataclass(frozen=True, kw_only=True)
class Dropouts:
    """Dropout of the attention probabilities and before every residual sum."""

    def __call__(self, trace: Trace) -> Trace:
        """The trace with a kernel for each."""
        return Trace(tuple(row for entry in trace for row in self._rows(entry)))

    def _rows(self, entry: Entry) -> Iterator[Entry]:
        operator = entry.operator
        mark = replace(entry, origin=ORIGIN)
        if isinstance(operator, Softmax):
            yield entry
            probabilities = Dropout(elements=operator.elements, for_product=True)
            name = f"{entry.name}_dropout"
            yield replace(mark, name=name, operator=probabilities)
        elif isinstance(operator, Residual) and entry.name.endswith("_residual"):
            before = Dropout(elements=operator.elements)
            yield replace(mark, name=entry.name.replace("residual", "dropout"), operator=before)
            yield entry
        else:
            yield entry


def backward(trace: Trace, gradient: Format) -> Trace:
    """The gradients of a forward pass, its last operator's first.

    Where a collective sums up or brings together what devices have, another one of the same bytes
    does so with the gradients.

    Args:
        trace: the forward pass of one device.
        gradient: the format of the gradients of weights.
    """
    return Trace(tuple(_gradient(entry, gradient) for entry in reversed(trace.entries)))


def _gradient(entry: Entry, gradient: Format) -> Entry:
    mark = replace(entry, name=f"{entry.name}_grad", origin=ORIGIN)
    if isinstance(entry.operator, Collective):
        return mark
    return replace(mark, operator=Backward(of=entry.operator, gradient=gradient))


def recomputed(trace: Trace, what: Recompute) -> Trace:
    """What is computed once more before the gradients: all layers, attention's core, or nothing.

    A fused attention kernel does so itself.
    """
    if what == "none":
        return Trace(())
    layers = [entry for entry in trace if entry.section not in ("embed", "head")]
    if what == "selective":
        layers = [entry for entry in layers if entry.name in CORE]
    return Trace(tuple(replace(e, name=f"{e.name}_again", origin=ORIGIN) for e in layers))
