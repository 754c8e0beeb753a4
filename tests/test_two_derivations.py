"""Two derivations agree: the sum over operators is the whole-layer closed form, symbol for symbol.

The forms on the right are written from each architecture's definition, the way a paper states
them: weights of a layer, twice a token; four operations a head element and score; twice the
vocabulary and the hidden size a row of logits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from strategies import symbolic
from sympy import Expr, Rational, S, expand

import lifesym as ls
from lifesym.formats import symbolic_format
from lifesym.nodes import Minimum
from lifesym.symbols import (
    activation_bits,
    batch,
    embedding_dim,
    full_layers,
    head_dim,
    heads,
    hidden,
    intermediate,
    kv_bits,
    kv_heads,
    layers,
    new,
    past,
    positions,
    rotary_dim,
    vocab,
    weight_bits,
    window,
)

FORMATS = {
    "weights": symbolic_format("weight"),
    "activations": symbolic_format("activation"),
    "kv": symbolic_format("kv"),
}
ZERO = S.Zero
Q, KV = heads * head_dim, kv_heads * head_dim
MHA = heads * head_dim
SLIDING = layers - full_layers
TABLE = vocab * hidden


@dataclass(frozen=True, kw_only=True)
class Form:
    """A decoder on one line each.

    Attributes:
        matrices: weights of a layer's matrix products.
        vectors: a layer's biases, gains and offsets.
        ends: parameters outside the layers; ``head`` and ``outer`` not in it.
        outer: weights of matrix products outside the layers, for every token.
        head: width of the LM head's matrix.
        tied: the LM head owns no matrix.
        kv: width of the keys of a token, as of its values.
        full: layers with full attention; the other ``sliding`` ones see a window.
    """

    matrices: Expr
    vectors: Expr
    ends: Expr
    outer: Expr = ZERO
    head: Expr = hidden
    tied: bool = False
    kv: Expr = KV
    full: Expr = layers
    sliding: Expr = ZERO

    @property
    def flops(self) -> Expr:
        depth = self.full + self.sliding
        seen = self.full * (past + new) + self.sliding * (Minimum(past, window - 1) + new)
        dense = 2 * batch * new * (depth * self.matrices + self.outer)
        return dense + 4 * batch * new * Q * seen + 2 * batch * self.head * vocab

    @property
    def parameters(self) -> Expr:
        lm_head = 0 if self.tied else self.head * vocab
        layer = self.matrices + self.vectors
        return (self.full + self.sliding) * layer + self.ends + self.outer + lm_head


GATED = 3 * hidden * intermediate
PLAIN = 2 * hidden * intermediate
GQA = 2 * hidden * Q + 2 * hidden * KV
FUSED_MHA = hidden * 3 * MHA + MHA * hidden
LN = 2 * hidden

LLAMA = Form(matrices=GQA + GATED, vectors=2 * hidden, ends=TABLE + hidden)
GEMMA2 = Form(
    matrices=GQA + GATED,
    vectors=4 * hidden,
    ends=TABLE + hidden,
    tied=True,
    full=full_layers,
    sliding=SLIDING,
)
NEOX = Form(
    matrices=FUSED_MHA + PLAIN,
    vectors=2 * LN + 3 * MHA + hidden + intermediate + hidden,
    ends=TABLE + LN,
    kv=MHA,
)
GPT2 = Form(
    matrices=FUSED_MHA + PLAIN,
    vectors=2 * LN + 3 * MHA + hidden + intermediate + hidden,
    ends=TABLE + positions * hidden + LN,
    tied=True,
    kv=MHA,
)

FAMILY_FORMS = {
    "llama": LLAMA,
    "mistral": replace(LLAMA, full=ZERO, sliding=layers),
    "qwen2": replace(LLAMA, vectors=2 * hidden + Q + 2 * KV),
    "qwen3": replace(LLAMA, vectors=2 * hidden + 2 * head_dim),
    "phi3": replace(LLAMA, full=ZERO, sliding=layers),
    "gemma2": GEMMA2,
    "gemma3_text": replace(GEMMA2, vectors=4 * hidden + 2 * head_dim),
    "gpt2": GPT2,
    "gpt_neox": NEOX,
    "gptj": Form(
        matrices=4 * hidden * MHA + PLAIN,
        vectors=LN + intermediate + hidden,
        ends=TABLE + LN + vocab,
        kv=MHA,
    ),
    "opt": GPT2,
    "bloom": replace(GPT2, ends=TABLE + 2 * LN),
    "falcon": Form(matrices=GQA + PLAIN, vectors=LN, ends=TABLE + LN, tied=True),
}

BASE = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 8}
QWEN = BASE | {"intermediate_size": 48, "num_key_value_heads": 2}
OPT = BASE | {"model_type": "opt", "ffn_dim": 48, "max_position_embeddings": 128}
FALCON = BASE | {"model_type": "falcon"}
QKVO = Q + 2 * KV + hidden
VARIANTS: dict[str, tuple[dict[str, Any], Form]] = {
    "llama with biases": (
        QWEN | {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
        replace(LLAMA, vectors=2 * hidden + QKVO + 2 * intermediate + hidden),
    ),
    "llama tied": (
        QWEN | {"model_type": "llama", "tie_word_embeddings": True},
        replace(LLAMA, tied=True),
    ),
    "mistral without a window": (QWEN | {"model_type": "mistral", "sliding_window": None}, LLAMA),
    "qwen3 with biases and windows": (
        QWEN
        | {"model_type": "qwen3", "head_dim": 4, "attention_bias": True, "sliding_window": 9}
        | {"use_sliding_window": True, "max_window_layers": 1},
        replace(LLAMA, vectors=2 * hidden + 2 * head_dim + QKVO, full=full_layers, sliding=SLIDING),
    ),
    "opt narrow and post-norm": (
        OPT | {"word_embed_proj_dim": 16, "do_layer_norm_before": False},
        replace(
            GPT2,
            ends=vocab * embedding_dim + positions * hidden,
            outer=2 * hidden * embedding_dim,
            head=embedding_dim,
        ),
    ),
    "opt without biases": (
        OPT | {"enable_bias": False, "layer_norm_elementwise_affine": False},
        replace(GPT2, vectors=ZERO, ends=TABLE + positions * hidden),
    ),
    "falcon 40b": (
        FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2},
        Form(matrices=GQA + PLAIN, vectors=2 * LN, ends=TABLE + LN, tied=True),
    ),
    "falcon rw": (
        FALCON | {"multi_query": False, "parallel_attn": False, "bias": True, "alibi": True},
        Form(
            matrices=GQA + PLAIN,
            vectors=2 * LN + QKVO + intermediate + hidden,
            ends=TABLE + LN,
            tied=True,
        ),
    ),
}

CASES = [
    *(
        (name, lambda name=name: ls.Model.symbolic(name), form)
        for name, form in FAMILY_FORMS.items()
    ),
    *(
        (name, lambda config=config: symbolic(config), form)
        for name, (config, form) in VARIANTS.items()
    ),
]


def same(left: Expr, right: Expr) -> bool:
    """Equal as polynomials."""
    return expand(left - right) == 0


@pytest.mark.parametrize(("make", "form"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_operators_add_up_to_the_closed_form(make: Callable[[], ls.Model], form: Form) -> None:
    model = make()
    cost = model.forward(batch, new, past).cost(**FORMATS)
    assert same(cost.matmul_flops, form.flops)
    assert same(model.parameters, form.parameters)
    a_token = (form.full + form.sliding) * 2 * form.kv
    assert same(model.kv_bytes_per_token(FORMATS["kv"]), a_token * kv_bits / 8)
    tokens = past + new
    held = form.full * tokens + form.sliding * Minimum(tokens, window - 1)
    cached = batch * held * 2 * form.kv * kv_bits / 8
    assert same(model.kv_bytes(tokens, FORMATS["kv"], batch), cached)
    assert same(cost.kv_write_bytes, batch * new * a_token * kv_bits / 8)
    seen = form.full * (past + new) + form.sliding * (Minimum(past, window - 1) + new)
    assert same(cost.kv_read_bytes, batch * seen * 2 * form.kv * kv_bits / 8)


def test_weight_bytes_are_the_parameters_with_rows_of_the_tables() -> None:
    """A pass reads all matrices once, and of a look-up table the rows of its tokens."""
    for family, tables, rows in (
        ("llama", TABLE, hidden),
        ("gpt2", positions * hidden, 2 * hidden),
        ("qwen3", TABLE, hidden),
    ):
        model = ls.Model.symbolic(family)
        read = model.forward(batch, new, past).cost(**FORMATS).weight_bytes
        weights = model.parameters - tables + batch * new * rows
        assert same(read, weights * weight_bits / 8), family


SCORES = batch * heads * new * (past + new)


def test_elementwise_work_of_llama() -> None:
    """RMSNorm 4, rotary 3, scale 1 and softmax 5 a score, gated SiLU 5, residual 1."""
    cost = ls.Model.symbolic("llama").forward(batch, new, past).cost()
    layer = 2 * 4 * hidden + 3 * (Q + KV) + 5 * intermediate + 2 * hidden
    form = batch * new * (layers * layer + 4 * hidden) + 6 * layers * SCORES
    assert same(cost.vector_flops, form)


def test_elementwise_work_of_gpt2() -> None:
    """LayerNorm 8, biases 1, scale 1 and softmax 5 a score, tanh GELU 9, residual 1."""
    cost = ls.Model.symbolic("gpt2").forward(batch, new, past).cost()
    biases = 3 * MHA + hidden + intermediate + hidden
    layer = 2 * 8 * hidden + biases + 9 * intermediate + 2 * hidden
    form = batch * new * (layers * layer + 8 * hidden + hidden) + 6 * layers * SCORES
    assert same(cost.vector_flops, form)


def test_elementwise_work_of_gpt_neox() -> None:
    """Partial rotary positions, exact GELU 5, one residual sum of three for both blocks."""
    cost = ls.Model.symbolic("gpt_neox").forward(batch, new, past).cost()
    biases = 3 * MHA + hidden + intermediate + hidden
    rotary = 3 * 2 * heads * rotary_dim
    layer = 2 * 8 * hidden + biases + rotary + 5 * intermediate + 2 * hidden
    form = batch * new * (layers * layer + 8 * hidden) + 6 * layers * SCORES
    assert same(cost.vector_flops, form)


def test_elementwise_work_of_gemma2() -> None:
    """Scaled embeddings, four norms a layer, soft caps 3 on scores and on the last logits."""
    cost = ls.Model.symbolic("gemma2").forward(batch, new, past).cost()
    seen = full_layers * (past + new) + SLIDING * (Minimum(past, window - 1) + new)
    layer = 4 * 4 * hidden + 3 * (Q + KV) + 10 * intermediate + 2 * hidden
    tokens = batch * new * (layers * layer + 4 * hidden + hidden)
    form = tokens + 9 * batch * heads * new * seen + 3 * batch * vocab
    assert same(cost.vector_flops, form)


def test_activations_of_llama() -> None:
    """Unfused: each operator reads its inputs and writes its output."""
    cost = ls.Model.symbolic("llama").forward(batch, new, past).cost(**FORMATS)
    tokens = batch * new
    read_qkv = hidden + 3 * hidden + (Q + KV) + head_dim + 2 * KV
    read_core = Q + Q
    read_rest = 2 * hidden + hidden + 2 * hidden + 2 * intermediate + intermediate + 2 * hidden
    read = tokens * (layers * (read_qkv + read_core + read_rest) + hidden) + batch * hidden
    bytes_ = activation_bits / 8
    assert same(cost.activation_read_bytes, (read + 2 * layers * SCORES) * bytes_)
    write_attention = hidden + Q + 2 * KV + (Q + KV) + Q + hidden + hidden
    write_mlp = hidden + 2 * intermediate + intermediate + hidden + hidden
    written = tokens * (layers * (write_attention + write_mlp) + 2 * hidden) + batch * vocab
    assert same(cost.activation_write_bytes, (written + 2 * layers * SCORES) * bytes_)
    assert same(cost.dispatches, 17 * layers + 3)


def test_causal_triangle() -> None:
    """``causal="exact"`` takes new (new - 1) / 2 masked scores away from the rectangle."""
    model = ls.Model.symbolic("llama")
    full, exact = (
        model.forward(batch, new, past, causal=causal).cost().matmul_flops
        for causal in ("full", "exact")
    )
    masked = Rational(1, 2) * new * (new - 1)
    assert same(full - exact, 4 * batch * layers * Q * masked)
