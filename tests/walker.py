"""Models counted by walking them: every weight matrix, table and cache entry, shape by shape.

Written from the modelling code of transformers, not from lifesym: for each family a function that
lists, layer by layer, the modules that the real class makes. `Walk` then counts one forward pass
by going through the list. Nothing here is symbolic and nothing is multiplied by a layer count.
"""

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


class Walk:
    """One forward pass of ``batch`` sequences of ``new`` tokens after ``past`` cached ones."""

    def __init__(self, batch: int, new: int, past: int, logits: str) -> None:
        self.batch, self.new, self.past = batch, new, past
        self.logit_rows = {"all": new, "last": 1, "none": 0}[logits] * batch
        self.macs = 0
        self.parameters = 0
        self.weights_read = 0
        self.kv_elements = 0
        self.kv_per_token = 0
        self.kv_read = 0
        self.kv_written = 0
        self.tied_tables: dict[str, tuple[int, int]] = {}

    @property
    def tokens(self) -> int:
        return self.batch * self.new

    def linear(self, inputs: int, outputs: int, bias: bool, rows: int | None = None) -> None:
        """``nn.Linear``: one multiply-add for every row, input and output."""
        owned = inputs * outputs + (outputs if bias else 0)
        self.parameters += owned
        self.weights_read += owned
        self.macs += (self.tokens if rows is None else rows) * inputs * outputs

    def norm(self, features: int, kind: str) -> None:
        """``RMSNorm`` has a gain, ``LayerNorm`` a gain and an offset, ``bare`` neither."""
        owned = features * {"rms": 1, "layer": 2, "bare": 0}[kind]
        self.parameters += owned
        self.weights_read += owned

    def table(self, rows: int, features: int) -> None:
        """``nn.Embedding``: one row read for every token."""
        self.parameters += rows * features
        self.weights_read += self.tokens * features

    def attention(self, heads: int, kv_heads: int, head_dim: int, window: int | None) -> None:
        """The eager core over the cache: the whole rectangle, keys of a window held W - 1."""
        held = self.past if window is None else min(self.past, window - 1)
        for _sequence in range(self.batch):
            for _head in range(heads):
                for _query in range(self.new):
                    self.macs += 2 * (held + self.new) * head_dim
            for _head in range(kv_heads):
                self.kv_read += 2 * (held + self.new) * head_dim
                self.kv_written += 2 * self.new * head_dim
        length = self.past + self.new
        kept = length if window is None else min(length, window - 1)
        self.kv_elements += 2 * kv_heads * head_dim * kept * self.batch
        self.kv_per_token += 2 * kv_heads * head_dim

    def head(self, hidden: int, vocab: int, tied: bool, bias: bool = False) -> None:
        """The LM head, read only if logits are wanted; a tied one is the embedding table."""
        self.parameters += (0 if tied else hidden * vocab) + (vocab if bias else 0)
        if self.logit_rows:
            self.weights_read += hidden * vocab + (vocab if bias else 0)
        self.macs += self.logit_rows * hidden * vocab


def _gated(walk: Walk, hidden: int, wide: int, bias: bool = False) -> None:
    walk.linear(hidden, wide, bias)
    walk.linear(hidden, wide, bias)
    walk.linear(wide, hidden, bias)


def _plain(walk: Walk, hidden: int, wide: int, bias: bool = True) -> None:
    walk.linear(hidden, wide, bias)
    walk.linear(wide, hidden, bias)


def _llama_like(walk: Walk, c: Json, window: Callable[[int], int | None]) -> None:
    kind, hidden = c["model_type"], c["hidden_size"]
    heads, kv_heads = c["num_attention_heads"], c.get("num_key_value_heads")
    kv_heads = kv_heads or heads
    head_dim = c.get("head_dim") or (128 if kind == "qwen3" else hidden // heads)
    every = c.get("attention_bias", False)
    qkv_bias = {"qwen2": True, "mistral": False, "phi3": False}.get(kind, every)
    out_bias = every if kind in ("llama", "qwen3") else False
    mlp_bias = c.get("mlp_bias", False) if kind == "llama" else False
    walk.table(c["vocab_size"], hidden)
    for layer in range(c["num_hidden_layers"]):
        walk.norm(hidden, "rms")
        if kind == "phi3":
            walk.linear(hidden, heads * head_dim + 2 * kv_heads * head_dim, False)
        else:
            walk.linear(hidden, heads * head_dim, qkv_bias)
            walk.linear(hidden, kv_heads * head_dim, qkv_bias)
            walk.linear(hidden, kv_heads * head_dim, qkv_bias)
        if kind == "qwen3":
            walk.norm(head_dim, "rms")
            walk.norm(head_dim, "rms")
        walk.attention(heads, kv_heads, head_dim, window(layer))
        walk.linear(heads * head_dim, hidden, out_bias)
        walk.norm(hidden, "rms")
        if kind == "phi3":
            walk.linear(hidden, 2 * c["intermediate_size"], False)
            walk.linear(c["intermediate_size"], hidden, False)
        else:
            _gated(walk, hidden, c["intermediate_size"], mlp_bias)
    walk.norm(hidden, "rms")
    walk.head(hidden, c["vocab_size"], c.get("tie_word_embeddings", False))


def llama(walk: Walk, c: Json) -> None:
    _llama_like(walk, c, lambda _: None)


def mistral(walk: Walk, c: Json) -> None:
    _llama_like(walk, c, lambda _: c.get("sliding_window"))


def qwen(walk: Walk, c: Json) -> None:
    used = c.get("sliding_window") if c.get("use_sliding_window", False) else None
    first = c.get("max_window_layers", 28)
    if "layer_types" in c:
        _llama_like(walk, c, lambda i: used if c["layer_types"][i] == "sliding_attention" else None)
    else:
        _llama_like(walk, c, lambda i: used if i >= first else None)


def gemma(walk: Walk, c: Json) -> None:
    third = c["model_type"] == "gemma3_text"
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    kv_heads, head_dim = c["num_key_value_heads"], c["head_dim"]
    pattern = c.get("sliding_window_pattern", 6 if third else 2)
    bias = c.get("attention_bias", False)
    walk.table(c["vocab_size"], hidden)
    for layer in range(c["num_hidden_layers"]):
        full = (layer + 1) % pattern == 0
        if "layer_types" in c:
            full = c["layer_types"][layer] == "full_attention"
        for _ in range(4):
            walk.norm(hidden, "rms")
        for _ in range(2 if third else 0):
            walk.norm(head_dim, "rms")
        walk.linear(hidden, heads * head_dim, bias)
        walk.linear(hidden, kv_heads * head_dim, bias)
        walk.linear(hidden, kv_heads * head_dim, bias)
        walk.attention(heads, kv_heads, head_dim, None if full else c["sliding_window"])
        walk.linear(heads * head_dim, hidden, bias)
        _gated(walk, hidden, c["intermediate_size"])
    walk.norm(hidden, "rms")
    walk.head(hidden, c["vocab_size"], c.get("tie_word_embeddings", True))


def gpt2(walk: Walk, c: Json) -> None:
    hidden, heads = c["n_embd"], c["n_head"]
    walk.table(c["vocab_size"], hidden)
    walk.table(c["n_positions"], hidden)
    for _ in range(c["n_layer"]):
        walk.norm(hidden, "layer")
        walk.linear(hidden, 3 * hidden, True)
        walk.attention(heads, heads, hidden // heads, None)
        walk.linear(hidden, hidden, True)
        walk.norm(hidden, "layer")
        _plain(walk, hidden, c.get("n_inner") or 4 * hidden)
    walk.norm(hidden, "layer")
    walk.head(hidden, c["vocab_size"], c.get("tie_word_embeddings", True))


def gpt_neox(walk: Walk, c: Json) -> None:
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    bias = c.get("attention_bias", True)
    walk.table(c["vocab_size"], hidden)
    for _ in range(c["num_hidden_layers"]):
        walk.norm(hidden, "layer")
        walk.norm(hidden, "layer")
        walk.linear(hidden, 3 * hidden, bias)
        walk.attention(heads, heads, hidden // heads, None)
        walk.linear(hidden, hidden, bias)
        _plain(walk, hidden, c["intermediate_size"])
    walk.norm(hidden, "layer")
    walk.head(hidden, c["vocab_size"], c.get("tie_word_embeddings", False))


def gptj(walk: Walk, c: Json) -> None:
    hidden, heads = c["n_embd"], c["n_head"]
    walk.table(c["vocab_size"], hidden)
    for _ in range(c["n_layer"]):
        walk.norm(hidden, "layer")
        for _projection in "qkv":
            walk.linear(hidden, hidden, False)
        walk.attention(heads, heads, hidden // heads, None)
        walk.linear(hidden, hidden, False)
        _plain(walk, hidden, c.get("n_inner") or 4 * hidden)
    walk.norm(hidden, "layer")
    walk.head(hidden, c["vocab_size"], c.get("tie_word_embeddings", False), bias=True)


def opt(walk: Walk, c: Json) -> None:
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    width = c.get("word_embed_proj_dim") or hidden
    norm = "layer" if c.get("layer_norm_elementwise_affine", True) else "bare"
    bias = c.get("enable_bias", True)
    walk.table(c["vocab_size"], width)
    walk.table(c["max_position_embeddings"] + 2, hidden)
    if width != hidden:
        walk.linear(width, hidden, False)
    for _ in range(c["num_hidden_layers"]):
        for _projection in "qkv":
            walk.linear(hidden, hidden, bias)
        walk.attention(heads, heads, hidden // heads, None)
        walk.linear(hidden, hidden, bias)
        walk.norm(hidden, norm)
        _plain(walk, hidden, c["ffn_dim"], bias)
        walk.norm(hidden, norm)
    if c.get("do_layer_norm_before", True) and not c.get("_remove_final_layer_norm", False):
        walk.norm(hidden, norm)
    if width != hidden:
        walk.linear(hidden, width, False)
    walk.head(width, c["vocab_size"], c.get("tie_word_embeddings", True))


def bloom(walk: Walk, c: Json) -> None:
    hidden, heads = c["hidden_size"], c["n_head"]
    walk.table(c["vocab_size"], hidden)
    walk.norm(hidden, "layer")
    for _ in range(c["n_layer"]):
        walk.norm(hidden, "layer")
        walk.linear(hidden, 3 * hidden, True)
        walk.attention(heads, heads, hidden // heads, None)
        walk.linear(hidden, hidden, True)
        walk.norm(hidden, "layer")
        _plain(walk, hidden, 4 * hidden)
    walk.norm(hidden, "layer")
    walk.head(hidden, c["vocab_size"], c.get("tie_word_embeddings", True))


def falcon(walk: Walk, c: Json) -> None:
    hidden, heads = c["hidden_size"], c["num_attention_heads"]
    head_dim, bias = hidden // heads, c.get("bias", False)
    grouped = c.get("new_decoder_architecture", False)
    if grouped:
        kv_heads = c.get("num_kv_heads") or heads
    else:
        kv_heads = 1 if c.get("multi_query", True) else heads
    norms = c.get("num_ln_in_parallel_attn")
    if norms is None and grouped:
        norms = 2
    walk.table(c["vocab_size"], hidden)
    for _ in range(c["num_hidden_layers"]):
        walk.norm(hidden, "layer")
        if norms == 2 or not c.get("parallel_attn", True):
            walk.norm(hidden, "layer")
        walk.linear(hidden, (heads + 2 * kv_heads) * head_dim, bias)
        walk.attention(heads, kv_heads, head_dim, None)
        walk.linear(hidden, hidden, bias)
        _plain(walk, hidden, c.get("ffn_hidden_size") or 4 * hidden, bias)
    walk.norm(hidden, "layer")
    walk.head(hidden, c["vocab_size"], c.get("tie_word_embeddings", True))


WALKS: dict[str, Callable[[Walk, Json], None]] = {
    "llama": llama,
    "mistral": mistral,
    "qwen2": qwen,
    "qwen3": qwen,
    "phi3": mistral,
    "gemma2": gemma,
    "gemma3_text": gemma,
    "gpt2": gpt2,
    "gpt_neox": gpt_neox,
    "gptj": gptj,
    "opt": opt,
    "bloom": bloom,
    "falcon": falcon,
}
