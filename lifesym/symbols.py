"""The notation table: the only place in lifesym where a `Symbol` is made.

Each row has three spellings: the Python word (the module attribute), the ASCII C identifier
(the SymPy name, also the key in C, CSV and JSON) and the LaTeX string. Beside them stand unit,
meaning, kind and the valid range. Symbols carry the assumption positive (or nonnegative where
zero is valid) and never integer: inverse questions such as "which context meets this target?"
have real solutions, and integrality is carried by ceiling nodes where it matters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from typing import Literal, TypeAlias

from sympy import Dummy, Expr, Integer, Rational, Symbol

from lifesym.errors import SymbolError, nearest

Kind = Literal["size", "bits", "rate", "time", "ratio", "energy"]
Number: TypeAlias = int | float | Fraction | Decimal | Expr
Size: TypeAlias = int | Expr


@dataclass(frozen=True, kw_only=True)
class Notation:
    """One row of the table; ``minimum`` (None: above zero) and ``maximum`` are valid themselves."""

    word: str
    symbol: Symbol
    latex: str
    unit: str
    meaning: str
    kind: Kind
    minimum: int | None
    maximum: int | None

    @property
    def name(self) -> str:
        """The C identifier, which is also the SymPy name."""
        return str(self.symbol.name)


TABLE: dict[Symbol, Notation] = {}
_BY_NAME: dict[str, Symbol] = {}


def _row(
    word: str,
    latex: str,
    unit: str,
    meaning: str,
    *,
    kind: Kind = "size",
    minimum: int | None = 1,
    maximum: int | None = None,
    name: str | None = None,
) -> Symbol:
    assumption = "nonnegative" if minimum == 0 else "positive"
    symbol = Symbol(name or word, **{assumption: True})
    TABLE[symbol] = Notation(
        word=word,
        symbol=symbol,
        latex=latex,
        unit=unit,
        meaning=meaning,
        kind=kind,
        minimum=minimum,
        maximum=maximum,
    )
    _BY_NAME[word] = _BY_NAME[symbol.name] = symbol
    return symbol


# The bound index of sums: never free in an expression that leaves the package, so not in the table.
index = Symbol("i", integer=True, nonnegative=True)

# workload
batch = _row("batch", "B", "sequences", "sequences computed together")
new = _row(
    "new", "N", "tokens", "new tokens of each sequence in one forward pass", name="new_tokens"
)
past = _row("past", "T", "tokens", "tokens already in the KV cache", minimum=0)
prompt = _row("prompt", "S", "tokens", "prompt length")
generated = _row("generated", "G", "tokens", "generated tokens")
chunk = _row("chunk", "C", "tokens", "prefill chunk length")

# model dimensions
layers = _row("layers", "L", "layers", "number of layers", minimum=0)
full_layers = _row(
    "full_layers", r"L_{\mathrm{full}}", "layers", "layers with full attention", minimum=0
)
hidden = _row("hidden", "d", "elements", "hidden size")
heads = _row("heads", "h", "heads", "attention (query) heads")
kv_heads = _row("kv_heads", r"h_{\mathrm{kv}}", "heads", "key and value heads")
head_dim = _row("head_dim", r"d_{\mathrm{h}}", "elements", "size of one head")
rotary_dim = _row(
    "rotary_dim", r"d_{\mathrm{rot}}", "elements", "rotated elements of a head", minimum=0
)
intermediate = _row("intermediate", r"d_{\mathrm{ff}}", "elements", "MLP intermediate size")
vocab = _row("vocab", "V", "tokens", "vocabulary size")
positions = _row("positions", r"S_{\max}", "tokens", "rows of a learned position table")
token_types = _row("token_types", r"n_{\mathrm{type}}", "types", "rows of the token-type table")
embedding_dim = _row(
    "embedding_dim", r"d_{\mathrm{emb}}", "elements", "embedding size where it differs from hidden"
)
window = _row("window", "W", "tokens", "sliding-window length")

# mixture of experts
experts = _row("experts", "E", "experts", "routed experts of a layer")
active_experts = _row("active_experts", "k", "experts", "routed experts chosen a token")
expert_intermediate = _row(
    "expert_intermediate", r"d_{\mathrm{e}}", "elements", "intermediate size of one expert"
)
shared_intermediate = _row(
    "shared_intermediate",
    r"d_{\mathrm{s}}",
    "elements",
    "intermediate size of the shared experts together",
)
dense_layers = _row(
    "dense_layers",
    r"L_{\mathrm{dense}}",
    "layers",
    "layers with an ordinary MLP among expert layers",
    minimum=0,
)
imbalance = _row(
    "imbalance",
    r"\lambda",
    "1",
    "experts' work done over work needed (capacity factor, load imbalance)",
    kind="ratio",
)

# latent attention
q_rank = _row("q_rank", r"r_{\mathrm{q}}", "elements", "rank of the compressed queries")
kv_rank = _row("kv_rank", r"r_{\mathrm{kv}}", "elements", "size of the latent that is cached")
nope_dim = _row("nope_dim", r"d_{\mathrm{nope}}", "elements", "head elements without position")
full_head_dim = _row(
    "full_head_dim", r"d_{\mathrm{full}}", "elements", "size of a head in layers of full attention"
)
full_kv_heads = _row(
    "full_kv_heads",
    r"h_{\mathrm{kv,full}}",
    "heads",
    "key and value heads in layers of full attention",
)
streams = _row("streams", "A", "streams", "copies of the residual stream (AltUp)")
augmented_rank = _row(
    "augmented_rank", r"r_{\mathrm{L}}", "elements", "rank of the learned residual (LAuReL)"
)
layer_embedding = _row(
    "layer_embedding", r"d_{\mathrm{ple}}", "elements", "size of a token's embedding for one layer"
)
layer_vocab = _row(
    "layer_vocab", r"V_{\mathrm{ple}}", "tokens", "rows of the table of embeddings by layer"
)
source = _row("source", r"S_{\mathrm{enc}}", "tokens", "positions of the encoder")
position_buckets = _row(
    "position_buckets", r"n_{\mathrm{rel}}", "buckets", "buckets of relative positions"
)
mel_bins = _row("mel_bins", r"n_{\mathrm{mel}}", "bins", "frequencies of an audio frame")
encoder_heads = _row(
    "encoder_heads", r"h_{\mathrm{enc}}", "heads", "attention heads of the encoder"
)
encoder_intermediate = _row(
    "encoder_intermediate", r"d_{\mathrm{ff,enc}}", "elements", "MLP size of the encoder"
)
encoder_layers = _row("encoder_layers", r"L_{\mathrm{enc}}", "layers", "layers of the encoder")
rope_dim = _row("rope_dim", r"d_{\mathrm{rope}}", "elements", "rotated head elements, shared key")
value_dim = _row("value_dim", r"d_{\mathrm{v}}", "elements", "size of a value head")

# recurrent layers
inner_size = _row("inner_size", r"d_{\mathrm{in}}", "elements", "channels of a recurrent mixer")
state_size = _row("state_size", r"d_{\mathrm{state}}", "elements", "state elements of a channel")
conv_kernel = _row("conv_kernel", r"k_{\mathrm{conv}}", "tokens", "taps of the causal convolution")
step_rank = _row("step_rank", r"r_{\Delta}", "elements", "rank of the time step's projection")
scan_heads = _row("scan_heads", r"h_{\mathrm{ssm}}", "heads", "heads of a state-space layer")
scan_dim = _row("scan_dim", r"d_{\mathrm{ssm}}", "elements", "channels of a state-space head")
scan_groups = _row(
    "scan_groups", r"g_{\mathrm{ssm}}", "groups", "groups of heads that share input and output maps"
)
scan_chunk = _row("scan_chunk", "Q", "tokens", "tokens of a chunk of a scan done by products")
linear_key_heads = _row(
    "linear_key_heads", r"h_{\mathrm{lk}}", "heads", "query and key heads of linear attention"
)
linear_value_heads = _row(
    "linear_value_heads", r"h_{\mathrm{lv}}", "heads", "value heads of linear attention"
)
linear_key_dim = _row(
    "linear_key_dim", r"d_{\mathrm{lk}}", "elements", "size of a key head of linear attention"
)
linear_value_dim = _row(
    "linear_value_dim", r"d_{\mathrm{lv}}", "elements", "size of a value head of linear attention"
)
expert_layers = _row(
    "expert_layers",
    r"L_{\mathrm{moe}}",
    "layers",
    "layers with experts where layers have one block each",
    minimum=0,
)
full_dense_layers = _row(
    "full_dense_layers",
    r"L_{\mathrm{full,dense}}",
    "layers",
    "layers with both full attention and an ordinary MLP",
    minimum=0,
)
expert_latent = _row(
    "expert_latent", r"d_{\mathrm{lat}}", "elements", "size of the tokens that experts see"
)
shared_blocks = _row(
    "shared_blocks", r"n_{\mathrm{sh}}", "blocks", "blocks whose layers share them"
)
adapter_rank = _row(
    "adapter_rank", r"r_{\mathrm{ad}}", "elements", "rank of the adapters on shared blocks"
)

# images
height = _row("height", r"H_{\mathrm{x}}", "pixels", "rows of an image")
width = _row("width", r"W_{\mathrm{x}}", "pixels", "columns of an image")
channels = _row("channels", "c", "channels", "channels of an image or of a network's first level")
image_channels = _row("image_channels", r"c_{\mathrm{in}}", "channels", "channels of the input")
classes = _row("classes", r"n_{\mathrm{class}}", "classes", "output channels of a segmentation")
kernel_size = _row("kernel_size", r"\kappa", "pixels", "rows and columns of a window")
depth_multiplier = _row(
    "depth_multiplier", r"D_{\mathrm{m}}", "filters", "depthwise filters a channel"
)
width_multiplier = _row(
    "width_multiplier",
    r"\omega",
    "1",
    "factor on the channels of every level",
    kind="ratio",
    minimum=0,
)

# number formats
weight_bits = _row("weight_bits", r"b_{\mathrm{w}}", "bits", "bits of a weight", kind="bits")
activation_bits = _row(
    "activation_bits", r"b_{\mathrm{a}}", "bits", "bits of an activation", kind="bits"
)
kv_bits = _row("kv_bits", r"b_{\mathrm{kv}}", "bits", "bits of a cached key or value", kind="bits")
group_size = _row("group_size", "g", "values", "values that share a scale", kind="bits")
scale_bits = _row(
    "scale_bits", r"b_{\mathrm{s}}", "bits", "bits of a group's scale", kind="bits", minimum=0
)
zero_bits = _row(
    "zero_bits", r"b_{\mathrm{z}}", "bits", "bits of a group's zero point", kind="bits", minimum=0
)
mantissa_bits = _row(
    "mantissa_bits", r"b_{\mathrm{m}}", "bits", "mantissa bits of a value", kind="bits", minimum=0
)

# optimizations
rank = _row("rank", "r", "elements", "rank of a low-rank adapter or cache", minimum=0)
budget = _row("budget", r"T_{\max}", "tokens", "cached tokens kept by eviction")
page = _row("page", "p", "tokens", "tokens of a cache page")
devices = _row("devices", "n", "devices", "devices that share a model")
microbatches = _row("microbatches", r"n_{\mu}", "microbatches", "pieces of a pipelined batch")
draft = _row("draft", r"\gamma", "tokens", "drafted tokens a speculative step", minimum=0)
acceptance = _row(
    "acceptance",
    r"\alpha",
    "1",
    "chance that a drafted token is accepted",
    kind="ratio",
    minimum=0,
    maximum=1,
)

# hardware
peak = _row("peak", "P", "FLOP/s", "peak rate of the matrix engine", kind="rate", minimum=None)
vector_peak = _row(
    "vector_peak",
    r"P_{\mathrm{v}}",
    "FLOP/s",
    "peak rate of the vector units",
    kind="rate",
    minimum=None,
)
bandwidth = _row(
    "bandwidth", r"\mathit{BW}", "byte/s", "memory bandwidth", kind="rate", minimum=None
)
compute_efficiency = _row(
    "compute_efficiency",
    r"e_{\mathrm{c}}",
    "1",
    "attained fraction of peak",
    kind="ratio",
    minimum=None,
    maximum=1,
)
memory_efficiency = _row(
    "memory_efficiency",
    r"e_{\mathrm{m}}",
    "1",
    "attained fraction of the memory bandwidth",
    kind="ratio",
    minimum=None,
    maximum=1,
)
dispatch_time = _row(
    "dispatch_time", r"t_{\mathrm{d}}", "s", "time to dispatch one operator", kind="time", minimum=0
)
link_bandwidth = _row(
    "link_bandwidth",
    r"\mathit{BW}_{\mathrm{link}}",
    "byte/s",
    "bandwidth of the link to a peer, one direction",
    kind="rate",
    minimum=None,
)
link_latency = _row(
    "link_latency",
    r"\alpha_{\mathrm{link}}",
    "s",
    "latency of a message over the link",
    kind="time",
    minimum=0,
)
flop_energy = _row(
    "flop_energy",
    r"\epsilon_{\mathrm{F}}",
    "J/FLOP",
    "energy of one operation",
    kind="energy",
    minimum=0,
)
byte_energy = _row(
    "byte_energy",
    r"\epsilon_{\mathrm{Q}}",
    "J/byte",
    "energy of one byte moved",
    kind="energy",
    minimum=0,
)
static_power = _row(
    "static_power", r"\Pi_{0}", "W", "power drawn whatever is computed", kind="energy", minimum=0
)


hourly_price = _row(
    "hourly_price", r"\pi", "price/h", "price of the devices an hour", kind="ratio", minimum=0
)


def resolve(name: str | Symbol) -> Symbol:
    """The table's symbol for a word, a C identifier or the symbol itself.

    >>> resolve("past") is past
    True

    Raises:
        SymbolError: the name is not in the table, or a look-alike symbol was made elsewhere.
    """
    if isinstance(name, Symbol):
        if name in TABLE:
            return name
        raise SymbolError(
            f"symbol {name.name!r} is not lifesym's: take it from lifesym.symbols"
            f"{nearest(name.name, _BY_NAME)}"
        )
    if name not in _BY_NAME:
        raise SymbolError(f"unknown symbol {name!r}{nearest(name, _BY_NAME)}")
    return _BY_NAME[name]


def exact(value: Number, what: str = "value") -> Expr:
    """An exact SymPy number or expression of a number from outside.

    A float means the shortest decimal that prints it, so 0.1 is 1/10 and not the binary fraction
    next to it. SymPy expressions are taken as they are.

    >>> exact(0.1), exact(Decimal("312e12"))
    (1/10, 312000000000000)

    Raises:
        SymbolError: a boolean, a string, or a number that is not finite.
    """
    if isinstance(value, Expr):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction | Decimal):
        raise SymbolError(f"{what} must be a number or a SymPy expression, not {value!r}")
    if isinstance(value, float | Decimal):
        if not isfinite(value):
            raise SymbolError(f"{what} must be finite, not {value}")
        return Rational(str(value))
    return Rational(value.numerator, value.denominator)


def size(value: Size, what: str, minimum: int = 1) -> Expr:
    """An expression for a size that was passed in; a number must be an integer >= minimum.

    Raises:
        SymbolError: a number that is not an integer or is below the minimum, or an expression
            in a symbol that is not the table's, which no value would ever reach.
    """
    if isinstance(value, bool) or not isinstance(value, int | Expr):
        raise SymbolError(f"{what} must be an integer or a SymPy expression, not {value!r}")
    expr = Integer(value) if isinstance(value, int) else value
    if expr.is_number and not (expr.is_Integer and expr >= minimum):
        raise SymbolError(f"{what} must be an integer of at least {minimum}, not {value}")
    for symbol in expr.free_symbols - {index}:
        if not isinstance(symbol, Dummy):  # those stand for values that replace them later
            resolve(symbol)
    return expr


def bind(expr: Expr, values: Mapping[str | Symbol, Number]) -> Expr:
    """Replace symbols by numbers or expressions, checking names and ranges.

    >>> bind(2 * batch * hidden, {"batch": 8})
    16*hidden

    Raises:
        SymbolError: an unknown name, a value outside the symbol's range, or a binary float.
    """
    replacement = {}
    for name, value in values.items():
        symbol = resolve(name)
        row = TABLE[symbol]
        number = exact(value, row.word)
        if number.is_number:
            below = number <= 0 if row.minimum is None else number < row.minimum
            above = row.maximum is not None and number > row.maximum
            if below or above:
                lower = "above 0" if row.minimum is None else f"at least {row.minimum}"
                upper = f" and at most {row.maximum}" if row.maximum is not None else ""
                raise SymbolError(f"{row.word} must be {lower}{upper}, not {value}")
        replacement[symbol] = number
    return expr.xreplace(replacement)


def ordered(symbols: Iterable[Symbol]) -> list[Symbol]:
    """Symbols in the order of the table (a set's own order changes from run to run)."""
    rank = {symbol: i for i, symbol in enumerate(TABLE)}
    return sorted(symbols, key=lambda s: rank[resolve(s)])
