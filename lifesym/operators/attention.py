r"""The core of attention: scores, softmax, values, and the KV cache.

``new`` queries of each sequence meet ``keys`` keys. ``pairs`` is the number of (query, key)
pairs of one head that are computed: the full rectangle ``new * keys`` unless a kernel skips
what the causal mask removes.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from sympy import Expr, Integer, S, sympify

from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.formats import Matrix, Precision, vectors
from lifesym.nodes import CeilDiv, FloorDiv, Maximum, Minimum
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Number, Size, exact


@dataclass(frozen=True, kw_only=True)
class CachedPast:
    """What a pass finds in the cache of a layer, and what of it its exact causal mask leaves.

    Attributes:
        tokens: cached tokens of a sequence that the pass reads.
        window: a token sees so many tokens, its own included; None where every new token sees all
            that is read: without a window, or where the whole rectangle is counted.
        before: tokens in front of the first query.
        fresh: those of them that the pass adds itself, where only later tokens have queries.
        chunked: the window does not slide: a token sees those of its own chunk.
        chosen: each query chooses its own keys among the tokens (sparse attention).
    """

    tokens: Expr
    window: Size | None = None
    before: Expr = S.Zero
    fresh: Expr = S.Zero
    chunked: bool = False
    chosen: bool = False

    def unseen(self, new: Size, kept: Expr) -> Expr:
        """Pairs of one head that ``new`` queries lose where the last ``kept`` tokens are left.

        >>> CachedPast(tokens=Integer(100)).unseen(2, Integer(60))
        80
        >>> window = CachedPast(tokens=Integer(3), window=4, before=Integer(3))
        >>> window.unseen(2, Integer(1))  # 2 + 3 tokens in place of 4 + 4
        3
        """
        if self.window is None:
            return new * (self.tokens - kept)
        if self.chunked:
            begun = self.before - self.window * FloorDiv(self.before, sympify(self.window))
            queries = Minimum(sympify(new), self.window - begun)
            return queries * Maximum(S.Zero, begun - self.fresh - kept)
        left = seen_in_window(new, kept + self.fresh, self.window)
        return seen_in_window(new, self.before, self.window) - left


def seen_in_window(new: Size, past: Expr, window: Size) -> Expr:
    """Pairs under a causal mask with a window: the sum of min(past + j, window) for j to new."""
    if new == 1:
        return 1 + Minimum(past, sympify(window) - 1)
    rising = Minimum(sympify(new), Maximum(S.Zero, window - past))
    return rising * past + rising * (rising + 1) / 2 + (new - rising) * window


@dataclass(frozen=True, kw_only=True)
class AttentionScores(Operator):
    r"""$Q K^\top / \sqrt{d_h}$ for every query head.

    matmul_flops $= 2 \cdot batch \cdot heads \cdot pairs \cdot head\_dim$, vector_flops one
    multiplication a score (the scale; the mask's addition is in `Softmax`). Reads Q as
    activations and the keys of all ``keys`` positions from the cache; writes the scores.
    (encoders keep no cache: ``cached=False`` reads them as activations).
    ``past`` says which keys and pairs are those of cached tokens (a cache policy asks it).
    With grouped queries the keys of ``kv_heads`` heads are read once, not once a query head;
    ``shared`` more elements of a key are the same for all heads. With ``blocks`` a kernel of one
    query has a block of threads for each of its scores (see `blocked`).

    >>> from lifesym import symbols as sym
    >>> AttentionScores(
    ...     batch=sym.batch, heads=sym.heads, kv_heads=sym.kv_heads, head_dim=sym.head_dim,
    ...     new=1, keys=sym.past + 1, pairs=sym.past + 1,
    ... ).cost(Precision.of()).matmul_flops
    2*batch*head_dim*heads*(past + 1)
    """

    batch: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    new: Size
    keys: Size
    pairs: Size
    cached: bool = True
    past: CachedPast | None = None
    shared: Size = 0
    blocks: bool = False

    family: ClassVar[str] = "attention"
    counted: ClassVar[str] = "2 FLOPs a multiply-add; 1 a score for the scale"
    reference: ClassVar[str] = "Vaswani et al., arXiv 1706.03762, Eq. 1; Ainslie et al. 2305.13245"
    monotone: ClassVar[dict[str, Direction]] = {
        "batch": "+",
        "heads": "+",
        "kv_heads": "+",
        "head_dim": "+",
        "new": "+",
        "keys": "+",
        "pairs": "+",
        "shared": "+",
    }

    @property
    def blocked(self) -> Expr:
        """Scores that have a block of threads each: those of one query a sequence, or none."""
        single = FloorDiv(S.One, sympify(self.new)) if self.blocks else S.Zero
        return single * self.batch * self.heads * self.pairs

    def cost(self, precision: Precision) -> Cost:
        """The score products of one layer."""
        scores = self.batch * self.heads * self.pairs
        width = self.head_dim + self.shared
        keys = self.batch * self.keys * (self.kv_heads * self.head_dim + self.shared)
        queries = self.batch * self.new * self.heads * width
        return Cost(
            matmul_flops=FLOPS_PER_MAC * scores * width,
            vector_flops=scores,
            activation_read_bytes=precision.activation_bytes(queries),
            activation_write_bytes=precision.activation_bytes(scores),
            dispatches=Integer(1),
        ) + precision.read_keys(keys, cached=self.cached)


@dataclass(frozen=True, kw_only=True)
class Softmax(Operator):
    r"""Row-wise softmax of the scores, 5 operations an element.

    Comparison for the maximum, subtraction, exponential, addition to the sum, division; the
    causal mask's addition is a sixth that kernels fold into the comparison and is not counted.
    ``sinks`` learned scores, one a head, take part in every row's sum; they are read as weights
    and their few operations a row are not counted. It is so many ``passes`` over the scores, each
    of which reads and writes them: more than one where scale, mask and casts are kernels too.

    >>> from lifesym import symbols as sym
    >>> Softmax(elements=sym.batch * sym.heads * sym.past).cost(Precision.of()).vector_flops
    5*batch*heads*past
    """

    elements: Size
    sinks: Size = 0
    passes: Size = 1

    family: ClassVar[str] = "softmax"
    counted: ClassVar[str] = "5 an element: compare, subtract, exponentiate, add, divide"
    reference: ClassVar[str] = "Milakov and Gimelshein, arXiv 1805.02867, Algorithm 2"
    monotone: ClassVar[dict[str, Direction]] = {
        "elements": "+",
        "sinks": "+",
        "passes": "+",
    }

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The sinks."""
        return vectors(self.sinks)

    @property
    def parameters(self) -> Expr:
        """One score a head that has a sink."""
        return self.sinks

    def saved(self, precision: Precision) -> Expr:
        """The probabilities."""
        return precision.activation_bytes(self.elements)

    def cost(self, precision: Precision) -> Cost:
        """A pass reads the scores once and writes them, or the probabilities, once."""
        traffic = precision.activation_bytes(self.passes * self.elements)
        return Cost(
            vector_flops=5 * self.elements,
            activation_read_bytes=traffic,
            activation_write_bytes=traffic,
            dispatches=Integer(1),
        ) + precision.read_weights(self.matrices)


@dataclass(frozen=True, kw_only=True)
class AttentionValues(Operator):
    r"""The probabilities times V: $2 \cdot batch \cdot heads \cdot pairs \cdot head\_dim$ FLOPs.

    Reads the probabilities as activations and the values of all ``keys`` positions from the
    cache; writes one vector a query head. ``head_dim`` is the value head's size. ``in_keys``: the
    values are a part of the keys (latents), which a kernel that takes the scores too has at hand
    (`after_scores`).

    >>> from lifesym import symbols as sym
    >>> AttentionValues(
    ...     batch=1, heads=sym.heads, kv_heads=sym.kv_heads, head_dim=sym.head_dim,
    ...     new=1, keys=sym.past + 1, pairs=sym.past + 1,
    ... ).cost(Precision.of()).kv_read_bytes
    2*head_dim*kv_heads*(past + 1)
    """

    batch: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    new: Size
    keys: Size
    pairs: Size
    cached: bool = True
    past: CachedPast | None = None
    in_keys: bool = False

    family: ClassVar[str] = "attention"
    counted: ClassVar[str] = "2 FLOPs a multiply-add"
    reference: ClassVar[str] = "Vaswani et al., arXiv 1706.03762, Eq. 1; Ainslie et al. 2305.13245"
    monotone: ClassVar[dict[str, Direction]] = {
        name: way for name, way in AttentionScores.monotone.items() if name != "shared"
    }

    def after_scores(self) -> Self:
        """The same in a kernel that has read the keys: no read of values that are in them."""
        return replace(self, kv_heads=0) if self.in_keys else self

    def saved(self, precision: Precision) -> Expr:
        """The values; the probabilities are kept by the softmax."""
        return precision.activation_bytes(self.batch * self.keys * self.kv_heads * self.head_dim)

    def cost(self, precision: Precision) -> Cost:
        """The value products of one layer."""
        scores = self.batch * self.heads * self.pairs
        values = self.batch * self.keys * self.kv_heads * self.head_dim
        outputs = self.batch * self.new * self.heads * self.head_dim
        return Cost(
            matmul_flops=FLOPS_PER_MAC * scores * self.head_dim,
            activation_read_bytes=precision.activation_bytes(scores),
            activation_write_bytes=precision.activation_bytes(outputs),
            dispatches=Integer(1),
        ) + precision.read_keys(values, cached=self.cached)


@dataclass(frozen=True, kw_only=True)
class KVAppend(Operator):
    r"""Write the new tokens' keys and values into the cache.

    ``elements`` is what one token of one sequence adds a head, $2 \cdot head\_dim$ for ordinary
    attention with ``heads = kv_heads``; a latent is one head. Storing a format that is not native
    costs two operations an element (scale and round). The cache of a sequence holds the last
    ``reach`` tokens, a share ``keep`` of these, at most ``budget``, in whole pages of ``page``
    tokens; or else all of them.

    >>> from lifesym import symbols as sym
    >>> op = KVAppend(tokens=sym.batch, elements=2 * sym.kv_heads * sym.head_dim)
    >>> op.cost(Precision.of()).kv_write_bytes
    4*batch*head_dim*kv_heads
    """

    tokens: Size
    elements: Size
    heads: Size = 1
    reach: Size | None = None
    keep: Number = 1
    budget: Size | None = None
    page: Size | None = None

    family: ClassVar[str] = "kv_cache"
    counted: ClassVar[str] = "2 operations an element to quantize, 0 for native formats"
    reference: ClassVar[str] = "Pope et al., arXiv 2211.05102, section 2.1"
    monotone: ClassVar[dict[str, Direction]] = {"tokens": "+", "elements": "+", "heads": "+"}

    @property
    def grown(self) -> Expr:
        """Elements that one more token adds, below every window."""
        return self.heads * self.elements

    def held(self, tokens: Expr) -> Expr:
        """Cached elements of one sequence of so many tokens."""
        in_reach = tokens if self.reach is None else Minimum(tokens, self.reach)
        kept = share_of(in_reach, exact(self.keep))
        if self.budget is not None:
            kept = Minimum(kept, self.budget)
        if self.page is not None:
            kept = self.page * CeilDiv(kept, self.page)
        return kept * self.heads * self.elements

    def cost(self, precision: Precision) -> Cost:
        """Reads the new keys and values and writes them in the cache's format."""
        values: Expr = self.tokens * self.heads * self.elements
        return Cost(
            vector_flops=S.Zero if precision.kv.native else 2 * values,
            activation_read_bytes=precision.activation_bytes(values),
            kv_write_bytes=precision.kv_bytes(values),
            dispatches=Integer(1),
        )


@dataclass(frozen=True, kw_only=True)
class SourceAppend(KVAppend):
    """Write the keys and values of the encoder's positions, once: they do not grow.

    >>> from lifesym import symbols as sym
    >>> op = SourceAppend(tokens=sym.source, source=sym.source, elements=2 * sym.hidden)
    >>> op.held(sym.past)
    2*hidden*source
    """

    source: Size

    monotone: ClassVar[dict[str, Direction]] = {**KVAppend.monotone, "source": "0"}

    @property
    def grown(self) -> Expr:
        """Nothing: a source is as long as it is."""
        return S.Zero

    def held(self, tokens: Expr) -> Expr:
        """Cached elements of one sequence, whatever it has generated."""
        return self.source * self.heads * self.elements


def share_of(tokens: Expr, share: Expr) -> Expr:
    """So many tokens' share, rounded up to whole tokens unless it is all of them."""
    if share is S.One:
        return tokens
    if share.is_Rational:
        return CeilDiv(share.p * tokens, sympify(share.q))
    return CeilDiv(tokens, 1 / share)
