"""The notation table: every symbol of lifesym, once.

Each row has three spellings: the Python word (the module attribute), the ASCII C identifier
(the SymPy name, also the key in C, CSV and JSON) and the LaTeX string. Beside them stand unit,
meaning, kind and the valid range. `lifesym.symbol_table` makes the rows, finds them and binds them.
"""

import re
from collections.abc import Mapping

from sympy import Symbol

from lifesym.symbol_table import (
    BY_NAME,
    TABLE,
    By,
    Kind,
    Notation,
    Number,
    Size,
    bind,
    constant,
    exact,
    index,
    inner,
    inside,
    known,
    ordered,
    resolve,
    row,
    size,
)

__all__ = [
    "TABLE",
    "By",
    "Kind",
    "Notation",
    "Number",
    "Size",
    "bind",
    "constant",
    "exact",
    "index",
    "inner",
    "inside",
    "known",
    "ordered",
    "own",
    "resolve",
    "size",
]

# workload
batch = row("batch", "B", "sequences", "sequences computed together")
new = row(
    "new", "N", "tokens", "new tokens of each sequence in one forward pass", name="new_tokens"
)
past = row("past", "T", "tokens", "tokens already in the KV cache", minimum=0)
prompt = row("prompt", "S", "tokens", "prompt length")
generated = row("generated", "G", "tokens", "generated tokens")
chunk = row("chunk", "C", "tokens", "prefill chunk length")
prefix = row(
    "prefix",
    r"S_{\mathrm{pre}}",
    "tokens",
    "first tokens of the prompt that are cached already",
    minimum=0,
)
replicas = row("replicas", r"n_{\mathrm{rep}}", "replicas", "replicas that share the batch")

# model dimensions
layers = row("layers", "L", "layers", "number of layers", minimum=0)
full_layers = row(
    "full_layers", r"L_{\mathrm{full}}", "layers", "layers with full attention", minimum=0
)
hidden = row("hidden", "d", "elements", "hidden size")
heads = row("heads", "h", "heads", "attention (query) heads")
kv_heads = row("kv_heads", r"h_{\mathrm{kv}}", "heads", "key and value heads")
head_dim = row("head_dim", r"d_{\mathrm{h}}", "elements", "size of one head")
rotary_dim = row(
    "rotary_dim", r"d_{\mathrm{rot}}", "elements", "rotated elements of a head", minimum=0
)
intermediate = row("intermediate", r"d_{\mathrm{ff}}", "elements", "MLP intermediate size")
vocab = row("vocab", "V", "tokens", "vocabulary size")
positions = row("positions", r"S_{\max}", "tokens", "rows of a learned position table")
token_types = row("token_types", r"n_{\mathrm{type}}", "types", "rows of the token-type table")
embedding_dim = row(
    "embedding_dim", r"d_{\mathrm{emb}}", "elements", "embedding size where it differs from hidden"
)
window = row("window", "W", "tokens", "sliding-window length")

# mixture of experts
experts = row("experts", "E", "experts", "routed experts of a layer")
active_experts = row("active_experts", "k", "experts", "routed experts chosen a token")
zero_experts = row("zero_experts", r"E_{0}", "experts", "experts that give back what they read")
expert_intermediate = row(
    "expert_intermediate", r"d_{\mathrm{e}}", "elements", "intermediate size of one expert"
)
shared_intermediate = row(
    "shared_intermediate",
    r"d_{\mathrm{s}}",
    "elements",
    "intermediate size of the shared experts together",
)
dense_layers = row(
    "dense_layers",
    r"L_{\mathrm{dense}}",
    "layers",
    "layers with an ordinary MLP among expert layers",
    minimum=0,
)
imbalance = row(
    "imbalance",
    r"\lambda",
    "1",
    "experts' work done over work needed (capacity factor, load imbalance)",
    kind="ratio",
)

# latent attention
q_rank = row("q_rank", r"r_{\mathrm{q}}", "elements", "rank of the compressed queries")
kv_rank = row("kv_rank", r"r_{\mathrm{kv}}", "elements", "size of the latent that is cached")
nope_dim = row("nope_dim", r"d_{\mathrm{nope}}", "elements", "head elements without position")
full_head_dim = row(
    "full_head_dim", r"d_{\mathrm{full}}", "elements", "size of a head in layers of full attention"
)
full_kv_heads = row(
    "full_kv_heads",
    r"h_{\mathrm{kv,full}}",
    "heads",
    "key and value heads in layers of full attention",
)
streams = row("streams", "A", "streams", "copies of the residual stream (AltUp, hyper-connections)")
augmented_rank = row(
    "augmented_rank", r"r_{\mathrm{L}}", "elements", "rank of the learned residual (LAuReL)"
)
layer_embedding = row(
    "layer_embedding", r"d_{\mathrm{ple}}", "elements", "size of a token's embedding for one layer"
)
layer_vocab = row(
    "layer_vocab", r"V_{\mathrm{ple}}", "tokens", "rows of the table of embeddings by layer"
)
labels = row("labels", r"n_{\mathrm{lab}}", "labels", "labels that a classifier scores")
source = row("source", r"S_{\mathrm{enc}}", "tokens", "positions of the encoder")
position_buckets = row(
    "position_buckets", r"n_{\mathrm{rel}}", "buckets", "buckets of relative positions"
)
mel_bins = row("mel_bins", r"n_{\mathrm{mel}}", "bins", "frequencies of an audio frame")
encoder_heads = row("encoder_heads", r"h_{\mathrm{enc}}", "heads", "attention heads of the encoder")
encoder_intermediate = row(
    "encoder_intermediate", r"d_{\mathrm{ff,enc}}", "elements", "MLP size of the encoder"
)
encoder_layers = row("encoder_layers", r"L_{\mathrm{enc}}", "layers", "layers of the encoder")
rope_dim = row("rope_dim", r"d_{\mathrm{rope}}", "elements", "rotated head elements, shared key")
value_dim = row("value_dim", r"d_{\mathrm{v}}", "elements", "size of a value head")

# sparse attention
index_heads = row("index_heads", r"h_{\mathrm{I}}", "heads", "heads of the indexer")
index_dim = row("index_dim", r"d_{\mathrm{I}}", "elements", "size of a head of the indexer")
index_top = row("index_top", r"k_{\mathrm{I}}", "tokens", "keys that a query attends to, of all")
gate_rank = row("gate_rank", r"r_{\mathrm{g}}", "elements", "rank of the gates of norms")
index_block = row(
    "index_block", r"s_{\mathrm{I}}", "tokens", "keys of a block that is chosen whole"
)
index_blocks = row(
    "index_blocks", r"n_{\mathrm{I}}", "blocks", "blocks of keys that a query attends to"
)
compress_rate = row(
    "compress_rate", r"m", "tokens", "tokens of a compressed key among which queries choose"
)
heavy_rate = row("heavy_rate", r"m'", "tokens", "tokens of a compressed key that all queries see")
out_groups = row(
    "out_groups", r"g_{\mathrm{o}}", "groups", "groups of heads whose outputs are projected apart"
)
out_rank = row("out_rank", r"r_{\mathrm{o}}", "elements", "size of a group's projected output")

# recurrent layers
inner_size = row("inner_size", r"d_{\mathrm{in}}", "elements", "channels of a recurrent mixer")
state_size = row("state_size", r"d_{\mathrm{state}}", "elements", "state elements of a channel")
conv_kernel = row("conv_kernel", r"k_{\mathrm{conv}}", "tokens", "taps of the causal convolution")
step_rank = row("step_rank", r"r_{\Delta}", "elements", "rank of the time step's projection")
scan_heads = row("scan_heads", r"h_{\mathrm{ssm}}", "heads", "heads of a state-space layer")
scan_dim = row("scan_dim", r"d_{\mathrm{ssm}}", "elements", "channels of a state-space head")
scan_groups = row(
    "scan_groups", r"g_{\mathrm{ssm}}", "groups", "groups of heads that share input and output maps"
)
scan_chunk = row("scan_chunk", "Q", "tokens", "tokens of a chunk of a scan done by products")
linear_key_heads = row(
    "linear_key_heads", r"h_{\mathrm{lk}}", "heads", "query and key heads of linear attention"
)
linear_value_heads = row(
    "linear_value_heads", r"h_{\mathrm{lv}}", "heads", "value heads of linear attention"
)
linear_key_dim = row(
    "linear_key_dim", r"d_{\mathrm{lk}}", "elements", "size of a key head of linear attention"
)
linear_value_dim = row(
    "linear_value_dim", r"d_{\mathrm{lv}}", "elements", "size of a value head of linear attention"
)
expert_layers = row(
    "expert_layers",
    r"L_{\mathrm{moe}}",
    "layers",
    "layers with experts where layers have one block each",
    minimum=0,
)
full_dense_layers = row(
    "full_dense_layers",
    r"L_{\mathrm{full,dense}}",
    "layers",
    "layers with both full attention and an ordinary MLP",
    minimum=0,
)
expert_latent = row(
    "expert_latent", r"d_{\mathrm{lat}}", "elements", "size of the tokens that experts see"
)
shared_blocks = row("shared_blocks", r"n_{\mathrm{sh}}", "blocks", "blocks whose layers share them")
adapter_rank = row(
    "adapter_rank", r"r_{\mathrm{ad}}", "elements", "rank of the adapters on shared blocks"
)

# images
height = row("height", r"H_{\mathrm{x}}", "pixels", "rows of an image")
width = row("width", r"W_{\mathrm{x}}", "pixels", "columns of an image")
channels = row("channels", "c", "channels", "channels of an image or of a network's first level")
image_channels = row("image_channels", r"c_{\mathrm{in}}", "channels", "channels of the input")
classes = row("classes", r"n_{\mathrm{class}}", "classes", "output channels of a segmentation")
kernel_size = row("kernel_size", r"\kappa", "pixels", "rows and columns of a window")
depth_multiplier = row(
    "depth_multiplier", r"D_{\mathrm{m}}", "filters", "depthwise filters a channel"
)
width_multiplier = row(
    "width_multiplier",
    r"\omega",
    "1",
    "factor on the channels of every level",
    kind="ratio",
    minimum=0,
)
images = row("images", r"n_{\mathrm{img}}", "images", "images in each prompt", minimum=0)
crops = row("crops", r"n_{\mathrm{crop}}", "crops", "pieces of an image that a tower sees")
patch_rows = row("patch_rows", r"H_{\mathrm{p}}", "patches", "rows of patches in a crop")
patch_columns = row("patch_columns", r"W_{\mathrm{p}}", "patches", "columns of patches in a crop")

# number formats
weight_bits = row("weight_bits", r"b_{\mathrm{w}}", "bits", "bits of a weight", kind="bits")
activation_bits = row(
    "activation_bits", r"b_{\mathrm{a}}", "bits", "bits of an activation", kind="bits"
)
kv_bits = row("kv_bits", r"b_{\mathrm{kv}}", "bits", "bits of a cached key or value", kind="bits")
group_size = row("group_size", "g", "values", "values that share a scale", kind="bits")
scale_bits = row(
    "scale_bits", r"b_{\mathrm{s}}", "bits", "bits of a group's scale", kind="bits", minimum=0
)
zero_bits = row(
    "zero_bits", r"b_{\mathrm{z}}", "bits", "bits of a group's zero point", kind="bits", minimum=0
)
mantissa_bits = row(
    "mantissa_bits", r"b_{\mathrm{m}}", "bits", "mantissa bits of a value", kind="bits", minimum=0
)

# optimizations and served forms
rank = row("rank", "r", "elements", "rank of a low-rank adapter or cache", minimum=0)
budget = row("budget", r"T_{\max}", "tokens", "cached tokens kept by eviction")
page = row("page", "p", "tokens", "tokens of a cache page")
keep = row(
    "keep",
    r"\sigma_{\mathrm{kv}}",
    "1",
    "share of the cached tokens that is kept",
    kind="ratio",
    minimum=None,
    maximum=1,
)
cache_rank = row(
    "cache_rank", r"r_{\mathrm{c}}", "elements", "elements kept of each cached key and value head"
)
cache_layers = row("cache_layers", r"L_{\mathrm{c}}", "layers", "layers that share one cache")
adapters = row("adapters", r"n_{\mathrm{ad}}", "adapters", "distinct adapters in a batch")
adapter_width = row(
    "adapter_width", r"d_{\mathrm{ad}}", "elements", "size of a bottleneck adapter", minimum=0
)
tile = row("tile", r"q_{\mathrm{tile}}", "tokens", "queries a tile of a fused attention kernel")
devices = row("devices", "n", "devices", "devices that share a model")
expert_devices = row(
    "expert_devices", r"n_{\mathrm{ep}}", "devices", "devices that share the experts"
)
stages = row("stages", r"p_{\mathrm{st}}", "stages", "stages of a pipeline")
sequence = row("sequence", "s", "tokens", "tokens of a training sequence")
model_chunks = row(
    "model_chunks", "v", "chunks", "pieces of the layers on each stage of an interleaved pipeline"
)
microbatches = row("microbatches", r"n_{\mu}", "microbatches", "pieces of a pipelined batch")
device_share = row(
    "device_share",
    r"\sigma_{\mathrm{dev}}",
    "1",
    "share of the work on one of two different devices",
    kind="ratio",
    minimum=0,
    maximum=1,
)
draft_heads = row("draft_heads", r"n_{\mathrm{draft}}", "heads", "heads that draft side by side")
draft_vocab = row(
    "draft_vocab", r"V_{\mathrm{draft}}", "tokens", "tokens that a draft head can propose"
)
target_hidden = row(
    "target_hidden", r"d_{\mathrm{target}}", "elements", "hidden size of a draft head's target"
)
draft = row("draft", r"\gamma", "tokens", "drafted tokens a speculative step", minimum=0)
acceptance = row(
    "acceptance",
    r"\alpha",
    "1",
    "chance that a drafted token is accepted, given that all before it were",
    kind="ratio",
    minimum=0,
    maximum=1,
)
accepted_rate = row(
    "accepted_rate",
    r"\bar{\alpha}",
    "1",
    "accepted tokens over drafted ones",
    kind="ratio",
    minimum=0,
    maximum=1,
)
tokens_per_step = row(
    "tokens_per_step",
    r"\bar{n}_{\mathrm{tok}}",
    "tokens",
    "tokens that a speculative step gives on average",
    kind="ratio",
)
hit_rate = row(
    "hit_rate",
    r"\eta_{\mathrm{hit}}",
    "1",
    "share of the requests that find their prefix cached",
    kind="ratio",
    minimum=0,
    maximum=1,
)
slots = row("slots", r"n_{\mathrm{slot}}", "sequences", "sequences served at once, never empty")
requests = row("requests", r"n_{\mathrm{req}}", "sequences", "requests that are served in all")
prefilled = row(
    "prefilled",
    r"N_{\mathrm{pre}}",
    "tokens",
    "prompt tokens that a server's pass computes, of one sequence",
    minimum=0,
)
prefilled_past = row(
    "prefilled_past",
    r"T_{\mathrm{pre}}",
    "tokens",
    "tokens of that sequence that are cached before the pass",
    minimum=0,
)
decodes = row(
    "decodes",
    r"B_{\mathrm{dec}}",
    "sequences",
    "sequences that decode beside a prefill",
    minimum=0,
)
context = row(
    "context",
    r"T_{\mathrm{dec}}",
    "tokens",
    "cached tokens of each sequence that decodes beside a prefill, at its first pass",
    minimum=0,
)
contexts = row(
    "contexts", r"T_{\Sigma}", "tokens", "cached tokens of all sequences together", minimum=0
)
offloaded = row(
    "offloaded",
    r"\sigma_{\mathrm{off}}",
    "1",
    "share of the bytes that another memory serves",
    kind="ratio",
    minimum=0,
    maximum=1,
)

device_memory = row(
    "device_memory",
    r"M_{\mathrm{dev}}",
    "byte",
    "bytes of a device's memory",
    kind="rate",
    minimum=0,
)
memory_share = row(
    "memory_share",
    r"\sigma_{\mathrm{mem}}",
    "1",
    "share of a device's memory that may be used",
    kind="ratio",
    minimum=None,
    maximum=1,
)

# hardware
peak = row("peak", "P", "FLOP/s", "peak rate of the matrix engine", kind="rate", minimum=None)
PEAKS = {  # by data type
    kind: row(
        f"peak_{kind}",
        rf"P_{{\mathrm{{{kind}}}}}",
        "FLOP/s",
        f"peak rate of the matrix engine in {kind}, beside the format of most products",
        kind="rate",
        minimum=None,
    )
    for kind in ("fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8", "int4")
}
peak_fp32, peak_tf32, peak_fp16, peak_bf16 = (PEAKS[t] for t in ("fp32", "tf32", "fp16", "bf16"))
peak_fp8, peak_fp4, peak_int8, peak_int4 = (PEAKS[t] for t in ("fp8", "fp4", "int8", "int4"))
vector_peak = row(
    "vector_peak",
    r"P_{\mathrm{v}}",
    "FLOP/s",
    "peak rate of the vector units",
    kind="rate",
    minimum=None,
)
bandwidth = row(
    "bandwidth", r"\mathit{BW}", "byte/s", "memory bandwidth", kind="rate", minimum=None
)
compute_efficiency = row(
    "compute_efficiency",
    r"e_{\mathrm{c}}",
    "1",
    "attained fraction of peak",
    kind="ratio",
    minimum=None,
    maximum=1,
)
memory_efficiency = row(
    "memory_efficiency",
    r"e_{\mathrm{m}}",
    "1",
    "attained fraction of the memory bandwidth",
    kind="ratio",
    minimum=None,
    maximum=1,
)
dispatch_time = row(
    "dispatch_time", r"t_{\mathrm{d}}", "s", "time to dispatch one operator", kind="time", minimum=0
)
layer_time = row(
    "layer_time",
    r"t_{\ell}",
    "s",
    "time to dispatch one layer, beside its operators'",
    kind="time",
    minimum=0,
)
sampling_time = row(
    "sampling_time",
    r"t_{\mathrm{smp}}",
    "s",
    "time to sample one token and hand it out",
    kind="time",
    minimum=0,
)
score_time = row(
    "score_time",
    r"t_{\mathrm{sc}}",
    "s",
    "time to start a block of threads for a score of one query's attention",
    kind="time",
    minimum=0,
)
multiprocessors = row(
    "multiprocessors",
    r"n_{\mathrm{mp}}",
    "multiprocessors",
    "multiprocessors, each of which computes a tile of a product at a time",
)
dequantization_rate = row(
    "dequantization_rate",
    r"P_{\mathrm{dq}}",
    "FLOP/s",
    "peak rate of the operations that unpack stored values",
    kind="rate",
    minimum=None,
)
buffer = row("buffer", "Z", "byte", "bytes on the chip in which operands of products are kept")
serial_peak = row(
    "serial_peak",
    r"P_{\mathrm{bs}}",
    "bit FLOP/s",
    "peak rate of bit-serial units: operations a second, times the bits of an activation",
    kind="rate",
    minimum=None,
)
link_bandwidth = row(
    "link_bandwidth",
    r"\mathit{BW}_{\mathrm{link}}",
    "byte/s",
    "bandwidth of the link to a peer, one direction",
    kind="rate",
    minimum=None,
)
link_latency = row(
    "link_latency",
    r"\alpha_{\mathrm{link}}",
    "s",
    "latency of a message over the link",
    kind="time",
    minimum=0,
)
collective_latency = row(
    "collective_latency",
    r"t_{\mathrm{coll}}",
    "s",
    "time of a collective beside its messages'",
    kind="time",
    minimum=0,
)
flop_energy = row(
    "flop_energy",
    r"\epsilon_{\mathrm{F}}",
    "J/FLOP",
    "energy of one operation",
    kind="energy",
    minimum=0,
)
byte_energy = row(
    "byte_energy",
    r"\epsilon_{\mathrm{Q}}",
    "J/byte",
    "energy of one byte moved",
    kind="energy",
    minimum=0,
)
static_power = row(
    "static_power", r"\Pi_{0}", "W", "power drawn whatever is computed", kind="energy", minimum=0
)


hourly_price = row(
    "hourly_price", r"\pi", "price/h", "price of the devices an hour", kind="ratio", minimum=0
)

# what a device attains in a part of the work
FAMILIES: Mapping[str, str] = {
    "linear": "lin",
    "lm_head": "head",
    "attention": "attn",
    "softmax": "softmax",
    "experts": "exp",
    "router": "router",
    "recurrent": "rec",
    "convolution": "conv",
    "embedding": "emb",
    "norm": "norm",
    "activation": "act",
    "residual": "res",
    "elementwise": "elem",
    "position": "pos",
    "kv_cache": "append",
    "fused": "fused",
}
"""Families of operators that compute or move something, with their subscripts."""
ROLES: Mapping[str, str] = {"weights": "w", "cache": "cache", "activations": "a"}
"""Roles of the bytes that operators move, likewise."""
ATTAINED: Mapping[str, Symbol] = {
    "compute": compute_efficiency,
    "memory": memory_efficiency,
    "dispatch": dispatch_time,
}
"""What a device may attain otherwise in a part of the work, and its symbol for all of it."""
_PREFIXES = tuple(f"{symbol.name}_" for symbol in ATTAINED.values())


def own(key: str) -> Symbol:
    r"""The symbol of what a device attains in a part of the work, such as ``attention.compute``.

    Of families of operators and roles of bytes the table has them; that of a single operator is a
    row from when it is first asked for.

    >>> own("attention.compute"), TABLE[own("weights.memory")].latex
    (compute_efficiency_attention, 'e_{\\mathrm{m,w}}')
    """
    word, _, number = key.rpartition(".")
    usual = TABLE[ATTAINED[number]]
    name = f"{usual.name}_{re.sub('[^a-z0-9]', '_', word.lower())}"
    if name in BY_NAME:
        return BY_NAME[name]
    label = {**FAMILIES, **ROLES}.get(word) or word.replace("_", r"\_")
    return row(
        name,
        usual.latex.replace("}", f",{label}}}", 1),
        usual.unit,
        f"{usual.meaning} ({word})",
        kind=usual.kind,
        minimum=usual.minimum,
        maximum=usual.maximum,
    )


def is_own(name: str) -> bool:
    """Whether a symbol's name is that of what a device attains in a part of the work."""
    return name.startswith(_PREFIXES)


globals().update(
    (symbol.name, symbol)
    for symbol in (
        *(own(f"{family}.{number}") for number in ATTAINED for family in FAMILIES),
        *(own(f"{role}.memory") for role in ROLES),
    )
)
