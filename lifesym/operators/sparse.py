r"""The choice of keys in sparse attention: an indexer's scores of all keys, and the best of them.

Each query scores every key it may see with a few small heads, keeps the best k, and attends to
those alone. The indexer has keys of its own in the cache, one head of them.
"""

from dataclasses import dataclass
from typing import ClassVar

from sympy import Add, Expr, Integer, S

from lifesym.cost import FLOPS_PER_MAC, Cost
from lifesym.formats import Matrix, Precision, vectors
from lifesym.nodes import CeilDiv, FloorDiv, Minimum
from lifesym.operators.attention import KVAppend
from lifesym.operators.base import Direction, Operator
from lifesym.symbols import Size


@dataclass(frozen=True, kw_only=True)
class IndexScores(Operator):
    r"""$I_{t,s} = \sum_j w_{t,j} \max(0, q_{t,j} \cdot k_s)$ over the heads of an indexer.

    matmul_flops $= 2 \cdot batch \cdot pairs \cdot heads \cdot (head\_dim + 1)$: the products with
    the keys, and the weighted sum over the heads, which torch code does as a product, too.
    vector_flops: one comparison a head and score; one multiplication a weight (all constants in
    one). With ``product`` false the weighted sum is done element by element instead, a
    multiplication and an addition a head and score. Reads queries and weights as activations, the
    keys of all ``keys`` positions from the cache, one head of them; writes one score a pair,
    whatever the heads.

    >>> from lifesym import symbols as sym
    >>> op = IndexScores(batch=1, new=1, keys=sym.past + 1, pairs=sym.past + 1,
    ...                  heads=sym.index_heads, head_dim=sym.index_dim)
    >>> op.cost(Precision.of()).matmul_flops.factor()
    2*index_heads*(index_dim + 1)*(past + 1)
    """

    batch: Size
    heads: Size
    head_dim: Size
    new: Size
    keys: Size
    pairs: Size
    product: bool = True

    family: ClassVar[str] = "attention"
    counted: ClassVar[str] = "2 FLOPs a multiply-add; 1 comparison a head and score; 1 a weight"
    reference: ClassVar[str] = "DeepSeek-V3.2, arXiv 2512.02556, Eq. 1"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "heads", "head_dim", "new", "keys", "pairs"), "+"
    )

    def cost(self, precision: Precision) -> Cost:
        """The index scores of one layer."""
        rows, scores = self.batch * self.new * self.heads, self.batch * self.pairs
        products, others = (self.head_dim + 1, 1) if self.product else (self.head_dim, 3)
        return Cost(
            matmul_flops=FLOPS_PER_MAC * scores * self.heads * products,
            vector_flops=scores * self.heads * others + rows,
            activation_read_bytes=precision.activation_bytes(rows * (self.head_dim + 1)),
            activation_write_bytes=precision.activation_bytes(scores),
            dispatches=Integer(1),
        ) + precision.read_cache(self.batch * self.keys * self.head_dim)


@dataclass(frozen=True, kw_only=True)
class ChooseKeys(Operator):
    """The best keys of each query: one comparison a score, and the numbers of those chosen.

    A partial sort does more on some hardware. The ``chosen`` numbers are as many activations,
    written here and read again by the attention, whose operators do not count them.

    >>> from lifesym import symbols as sym
    >>> op = ChooseKeys(scores=sym.past + 1, chosen=sym.index_top)
    >>> op.cost(Precision.of()).vector_flops
    past + 1
    """

    scores: Size
    chosen: Size

    family: ClassVar[str] = "attention"
    counted: ClassVar[str] = "1 comparison a score; numbers of the chosen written and read once"
    reference: ClassVar[str] = "DeepSeek-V3.2, arXiv 2512.02556, Eq. 2"
    monotone: ClassVar[dict[str, Direction]] = {"scores": "+", "chosen": "+"}

    def cost(self, precision: Precision) -> Cost:
        """Reads each score once."""
        return Cost(
            vector_flops=self.scores,
            activation_read_bytes=precision.activation_bytes(self.scores + self.chosen),
            activation_write_bytes=precision.activation_bytes(self.chosen),
            dispatches=Integer(1),
        )


@dataclass(frozen=True, kw_only=True)
class BlockScores(Operator):
    r"""The largest $q_{t,j} \cdot k_s$ of every block of keys, for each head of an indexer.

    matmul_flops $= 2 \cdot batch \cdot pairs \cdot heads \cdot head\_dim$; vector_flops one
    comparison a head and score. Reads queries as activations, the keys of all ``keys`` positions
    from the cache, one head of them; writes the scores of ``blocks``, pairs of a query and a block
    that it sees, a head.

    >>> from lifesym import symbols as sym
    >>> op = BlockScores(batch=1, new=1, keys=sym.past + 1, pairs=sym.past + 1, blocks=1,
    ...                  heads=sym.index_heads, head_dim=sym.index_dim)
    >>> op.cost(Precision.of()).matmul_flops
    2*index_dim*index_heads*(past + 1)
    """

    batch: Size
    heads: Size
    head_dim: Size
    new: Size
    keys: Size
    pairs: Size
    blocks: Size

    family: ClassVar[str] = "attention"
    counted: ClassVar[str] = "2 FLOPs a multiply-add; 1 comparison a head and score"
    reference: ClassVar[str] = "transformers, minimax_m3_vl: MiniMaxM3VLIndexer"
    monotone: ClassVar[dict[str, Direction]] = {**IndexScores.monotone, "blocks": "+"}

    def cost(self, precision: Precision) -> Cost:
        """The scores of one layer's blocks."""
        scores = self.batch * self.heads * self.pairs
        queries = self.batch * self.new * self.heads * self.head_dim
        return Cost(
            matmul_flops=FLOPS_PER_MAC * scores * self.head_dim,
            vector_flops=scores,
            activation_read_bytes=precision.activation_bytes(queries),
            activation_write_bytes=precision.activation_bytes(
                self.batch * self.heads * self.blocks
            ),
            dispatches=Integer(1),
        ) + precision.read_cache(self.batch * self.keys * self.head_dim)


@dataclass(frozen=True, kw_only=True)
class ValueScores(Operator):
    r"""What values say of their keys: $\exp(a_j \cdot \mathrm{softplus}(W v_s + b)_j)$.

    matmul_flops $= 2 \cdot batch \cdot keys \cdot inputs \cdot heads$ of the values of all heads
    together; vector_flops: 3 a score for the softplus, 2 for the product and the exponential,
    1 for a bias. The values of all positions are read from the cache.

    >>> from lifesym import symbols as sym
    >>> op = ValueScores(batch=1, keys=sym.past + 1, inputs=64, heads=2)
    >>> op.cost(Precision.of()).matmul_flops, op.parameters
    (256*past + 256, 130)
    """

    batch: Size
    keys: Size
    inputs: Size
    heads: Size
    bias: bool = False

    family: ClassVar[str] = "attention"
    counted: ClassVar[str] = "2 FLOPs a multiply-add; 5 a score, 1 more for a bias"
    reference: ClassVar[str] = (
        "Shi et al., arXiv 2508.02124, section 3; transformers, doge: DogeAttention"
    )
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("batch", "keys", "inputs", "heads"), "+"
    )

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The projection; its bias and the factors of the heads are vectors."""
        matrix = Matrix(role="attn_mask", rows=self.heads, columns=self.inputs)
        return (matrix, *vectors((2 if self.bias else 1) * self.heads))

    @property
    def parameters(self) -> Expr:
        """Projection, bias, factors."""
        return Add(*self.weight_roles.values())

    def cost(self, precision: Precision) -> Cost:
        """The scores of one layer."""
        scores = self.batch * self.keys * self.heads
        return (
            Cost(
                matmul_flops=FLOPS_PER_MAC * scores * self.inputs,
                vector_flops=(6 if self.bias else 5) * scores,
                activation_write_bytes=precision.activation_bytes(scores),
                dispatches=Integer(1),
            )
            + precision.read_weights(self.matrices)
            + precision.read_cache(self.batch * self.keys * self.inputs)
        )


@dataclass(frozen=True, kw_only=True)
class PoolTokens(Operator):
    r"""One key of ``rate`` tokens: $C_i = \sum_j \mathrm{softmax}_j(Z_j + B_j) \odot K_j$.

    Every token has ``features`` elements of a key and as many of a gate; with ``overlap`` twice as
    many, of which one half goes into the entry of its own ``rate`` tokens and the other into the
    next one. vector_flops: one addition of the learned bias a gate that is pooled, and for each
    element of an entry and slot 5 for the softmax and 2 for the sum. Keys and gates of the pass are
    read as activations; ``recalled`` elements of earlier passes are read from the cache and
    ``stored`` ones, whose entry is not complete, are written there.

    >>> from lifesym import symbols as sym
    >>> op = PoolTokens(tokens=4, entries=1, features=sym.head_dim, rate=4, recalled=0, stored=0)
    >>> op.cost(Precision.of()).vector_flops
    32*head_dim
    """

    tokens: Size
    entries: Size
    features: Size
    rate: Size
    recalled: Size
    stored: Size
    overlap: bool = False

    family: ClassVar[str] = "attention"
    counted: ClassVar[str] = "1 a gate for its bias; 7 an element of an entry and slot"
    reference: ClassVar[str] = "transformers 5.24, deepseek_v4: DeepseekV4CSACompressor"
    monotone: ClassVar[dict[str, Direction]] = dict.fromkeys(
        ("tokens", "entries", "features", "rate", "recalled", "stored"), "+"
    )

    @property
    def parameters(self) -> Expr:
        """A bias for every place among ``rate`` tokens."""
        return self.rate * self._width

    @property
    def matrices(self) -> tuple[Matrix, ...]:
        """The biases."""
        return vectors(self.parameters)

    @property
    def _width(self) -> Expr:
        return (2 if self.overlap else 1) * self.features

    def cost(self, precision: Precision) -> Cost:
        """The pooling of one pass."""
        gates = self.entries * self.rate * self._width
        moved = Cost(
            vector_flops=8 * gates + (S.Zero if precision.kv.native else 2 * self.stored),
            activation_read_bytes=precision.activation_bytes(2 * self.tokens * self._width),
            activation_write_bytes=precision.activation_bytes(self.entries * self.features),
            kv_write_bytes=precision.kv_bytes(self.stored),
            dispatches=Integer(1),
        )
        cached = precision.read_cache(self.recalled)
        return moved + cached + precision.read_weights(self.matrices)


@dataclass(frozen=True, kw_only=True)
class CompressedAppend(KVAppend):
    r"""Write the compressed keys of a pass: one of ``elements`` for every ``rate`` tokens.

    The cache also holds keys and gates of the tokens whose entry is not complete yet, and with
    ``overlap`` those of the last complete one that the next entry takes: see `PoolTokens`.

    >>> op = CompressedAppend(tokens=1, elements=512, rate=128)
    >>> op.held(Integer(300))  # two entries, and key and gate of 44 tokens
    46080
    """

    rate: Size
    overlap: bool = False

    reference: ClassVar[str] = "transformers 5.24, deepseek_v4: DeepseekV4CSACache"
    monotone: ClassVar[dict[str, Direction]] = {**KVAppend.monotone, "rate": "0"}

    @property
    def grown(self) -> Expr:
        """Elements that one more token adds on average."""
        return self.heads * self.elements / self.rate

    def held(self, tokens: Expr) -> Expr:
        """Cached elements of one sequence of so many tokens; entries in whole pages of tokens."""
        paged = tokens if self.page is None else self.page * CeilDiv(tokens, self.page)
        done, each = FloorDiv(tokens, self.rate), self.heads * self.elements
        waiting = 2 * (2 if self.overlap else 1) * (tokens - done * self.rate)
        before = 2 * self.rate * Minimum(S.One, done) if self.overlap else S.Zero
        return each * (FloorDiv(paged, self.rate) + waiting + before)
