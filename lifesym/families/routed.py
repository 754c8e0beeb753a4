"""Mixtures of experts of 2024 to 2026: they differ in which layers have them, and in attention."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from lifesym import symbols as sym
from lifesym.blocks import Block, ShortConv
from lifesym.families.base import Count, Family, Whole, each_layer, listed, refuse
from lifesym.families.cohere import NORM
from lifesym.families.decoder import (
    RMS,
    Ends,
    attention,
    decoder,
    experts,
    head_size,
    layer,
    mlp,
    windows,
)
from lifesym.families.llama import DERIVED, LlamaConfig
from lifesym.families.mamba import Kernel
from lifesym.families.plain import granite_mixers
from lifesym.model import Model

AROUND = {"mixer_post_norm": RMS, "mlp_post_norm": RMS}
"""Norms after both parts of a layer."""


class RoutedConfig(LlamaConfig, kw_only=True):
    """Keys that most of them have; their classes' defaults are in ``specs/class_defaults.toml``.

    Dense layers are listed in ``mlp_layer_types``, or else the first so many.
    """

    intermediate_size: Count = 1  # some have no dense layer, and no such key
    num_experts: Count
    num_experts_per_tok: Count
    moe_intermediate_size: Count
    num_shared_experts: Whole = 0
    shared_expert_intermediate_size: Whole | None = None
    mlp_layer_types: list[Literal["dense", "sparse"]] | None = None
    first_k_dense_replace: Whole = 0
    sliding_window: Count | None = None
    layer_types: list[str] | None = None
    rope_parameters: dict[str, Any] | None = None

    @property
    def shared(self) -> int:
        """The size of the shared experts together."""
        given = self.shared_expert_intermediate_size
        return self.num_shared_experts * self.moe_intermediate_size if given is None else given


class DotsConfig(RoutedConfig, kw_only=True):
    """A window from layer ``max_window_layers`` on."""

    head_dim: Count = DERIVED
    max_window_layers: Whole = 62


class PeriodConfig(RoutedConfig, kw_only=True):
    """One layer of so many has full attention, unless listed."""

    sliding_window_pattern: Whole | str | None = None
    mup_enabled: bool | None = False


class BeamConfig(RoutedConfig, kw_only=True):
    """``rope_parameters`` has null for kinds of layers without positions."""

    head_dim: Count = 128
    num_key_value_heads: Count = 8
    sliding_window: Count | None = 512
    final_logit_softcapping: float | None = 30.0


class LagunaConfig(RoutedConfig, kw_only=True):
    """Heads by layer."""

    gating: bool | str = True
    num_attention_heads_per_layer: list[Count] | None = None
    num_sliding_attention_heads: Count | None = None
    moe_router_logit_softcapping: float = 0.0
    moe_apply_router_weight_on_input: bool = False
    partial_rotary_factor: float | None = None


class StepConfig(LagunaConfig, kw_only=True):
    """Heads of windowed layers, and layers of experts, as early files say them.

    Their lists have entries of the multi-token layers too, which are left out.
    """

    attention_other_setting: dict[str, Any] | None = None
    moe_layers_enum: str | None = None
    num_nextn_predict_layers: Whole = 0
    per_layer_config: dict[Any, dict[str, Any]] | None = None
    use_head_wise_attn_gate: bool = True
    mlp_bias: bool = False


class OcrConfig(RoutedConfig, kw_only=True):
    """DeepSeek V2's keys beside Llama's attention."""

    mlp_bias: bool = False


class FlintConfig(RoutedConfig, kw_only=True):
    """The dense layers are listed by number."""

    mlp_only_layers: list[Whole] | None = None
    decoder_sparse_step: Count = 1


class MimoConfig(RoutedConfig, kw_only=True):
    """Values have heads of a size of their own. Early files list windows and experts as 0 or 1.

    There ``sliding_window_size`` is the number of earlier tokens that a token sees.
    """

    v_head_dim: Count
    partial_rotary_factor: float = 0.334
    sliding_window_size: Count | None = None
    hybrid_layer_pattern: list[Literal[0, 1]] | None = None
    moe_layer_freq: list[Literal[0, 1]] | None = None
    swa_num_attention_heads: Count | None = None
    swa_num_key_value_heads: Count | None = None
    swa_head_dim: Count | None = None
    swa_v_head_dim: Count | None = None
    add_full_attention_sink_bias: bool = False
    add_swa_attention_sink_bias: bool = True


class HunyuanMoeConfig(LlamaConfig, kw_only=True):
    """A shared MLP beside experts of its size; lists have a number for every layer."""

    num_experts: Count | list[Count]
    moe_topk: Count | list[Count]
    moe_intermediate_size: Count | list[Count] | None = None
    num_shared_expert: Count | list[Count] | None = None
    use_cla: bool = False
    use_qk_norm: bool = True
    use_mixed_mlp_moe: bool = True


class SoleConfig(LlamaConfig, kw_only=True):
    """``intermediate_size`` is that of one expert."""

    num_experts: Count
    num_experts_per_tok: Count
    num_shared_experts: Whole = 0
    shared_intermediate_size: Whole = 0
    sliding_window: Count | None = None
    layer_types: list[str] | None = None
    layer_rope_theta: list[float] | None = None


class AriaConfig(SoleConfig, kw_only=True):
    """Biases of the shared experts; the activation function of the others is always SiLU."""

    mlp_bias: bool = False


class Cohere2MoeConfig(SoleConfig, kw_only=True):
    """The first, dense layers have a size and a pattern of their own."""

    tie_word_embeddings: bool = True
    expert_selection_fn: Literal["softmax", "sigmoid"] = "softmax"
    sliding_window_pattern: Count = 4
    mlp_layer_types: list[Literal["dense", "sparse"]] | None = None
    first_k_dense_replace: Whole = 0
    prefix_dense_sliding_window_pattern: Count = 1
    prefix_dense_intermediate_size: Count | None = None
    rms_norm_eps: float | None = None


class Lfm2MoeConfig(RoutedConfig, kw_only=True):
    """Layers are listed as convolutions or attention."""

    num_key_value_heads: Count = 8
    tie_word_embeddings: bool = True
    conv_bias: bool = False
    conv_kernel: Kernel = 3


def dense_layers(c: Any) -> list[bool]:
    """Which layers have no experts: those listed, or the first so many.

    Raises:
        SpecError: a list of another length than the layers.
    """
    depth = c.num_hidden_layers
    if c.mlp_layer_types is None:
        return [i < c.first_k_dense_replace for i in range(depth)]
    return listed(c.mlp_layer_types, depth, {"dense": True, "sparse": False}, "mlp_layer_types")


def _mixers(
    c: Any, slides: Callable[[int], bool] = lambda _: False, *, still: bool = False, **options: Any
) -> list[Block]:
    """Attention by layer; ``still``: beside windows full attention rotates nothing."""
    whole = 0 if still and c.sliding_window is not None else sym.head_dim
    return [
        attention(
            bias=c.attention_bias,
            window=span,
            **{"rotary_dim": sym.head_dim if span else whole} | options,
        )
        for span in windows(c, c.sliding_window, slides)
    ]


def routed(
    c: Any,
    name: str,
    mixers: Sequence[Block],
    dense: Sequence[bool],
    ends: Ends | None = None,
    *,
    shared: int = 0,
    around: dict[str, Any] | None = None,
    sizes: dict[str, int | None] | None = None,
    **options: Any,
) -> Model:
    """A decoder of these mixers, with an MLP in the dense layers and experts in the others.

    ``shared``: size of the shared experts; ``around``: options of the layers (norms, scales);
    ``sizes``: of other symbols; ``options``: of the experts.
    """
    plain, moe = mlp(c.hidden_act), experts(c.hidden_act, shared=shared > 0, **options)
    layers = [
        layer(mixer, plain if alone else moe, **around or {})
        for mixer, alone in zip(mixers, dense, strict=True)
    ]
    return decoder(c, name, layers, ends, **{"shared_intermediate": shared} | (sizes or {}))


def _sigmoid(c: RoutedConfig, name: str, mixers: Sequence[Block], **options: Any) -> Model:
    """DeepSeek's experts after this attention."""
    return routed(c, name, mixers, dense_layers(c), shared=c.shared, sigmoid=True, **options)


def dots(c: DotsConfig, name: str) -> Model:
    """dots.llm1: Qwen 3's attention, DeepSeek's experts."""
    return _sigmoid(c, name, _mixers(c, lambda i: i >= c.max_window_layers, qk_norm="head"))


def hy_v3(c: RoutedConfig, name: str) -> Model:
    """Hunyuan 3: normalized queries and keys, DeepSeek's experts."""
    refuse(c.shared == 0, "key 'num_shared_experts': 0 is not modelled")
    return _sigmoid(c, name, _mixers(c, qk_norm="head"))


def solar(c: RoutedConfig, name: str) -> Model:
    """Solar Open: Llama's attention without a bias on its output, DeepSeek's experts."""
    return _sigmoid(c, name, _mixers(c, out_bias=False))


def mellum(c: RoutedConfig, name: str) -> Model:
    """Mellum: Qwen 3 MoE with windows and dense layers as listed."""
    return routed(c, name, _mixers(c, qk_norm="head"), dense_layers(c))


def period_mixers(c: Any, **options: Any) -> list[Block]:
    """Attention whose full layers, one of ``sliding_window_pattern``, rotate nothing.

    Raises:
        SpecError: a pattern in letters without the list of layers that it means.
    """
    pattern = c.sliding_window_pattern
    if isinstance(pattern, str):
        refuse(c.layer_types is None, "key 'layer_types': needed with a 'sliding_window_pattern'")
    period = pattern if isinstance(pattern, int) and pattern > 0 else 1
    return _mixers(c, lambda i: (i + 1) % period != 0, still=True, **options)


def exaone_moe(c: PeriodConfig, name: str) -> Model:
    """K-EXAONE: EXAONE 4's attention with norms before it, DeepSeek's experts; Kolibri: and after.

    Both classes have no biases.
    """
    refuse(c.attention_bias, "key 'attention_bias': not one of its class's")
    around = AROUND if c.model_type == "kolibri1" else {}
    return _sigmoid(c, name, period_mixers(c, qk_norm="head"), around=around)


def afmoe(c: PeriodConfig, name: str) -> Model:
    """Arcee's Trinity: gated attention that rotates in windows alone, norms around both parts.

    What is added to the experts' scores is learned here, as a router's bias is.
    """
    refuse(c.sliding_window is None, "missing key 'sliding_window'")
    mixers = period_mixers(c, qk_norm="head", gate="element")
    ends = Ends(scaled=bool(c.mup_enabled))
    return _sigmoid(c, name, mixers, ends=ends, around=AROUND, router_bias=True)


def beam(c: BeamConfig, name: str) -> Model:
    """Beam: gated attention whose full layers rotate nothing but scale queries, by default.

    Norms are around both parts, and the stream is scaled before each is added to it.
    """
    depth, rope = c.num_hidden_layers, c.rope_parameters
    rope = rope or {"full_attention": None, "sliding_attention": {}}
    still = {kind: rotated is None for kind, rotated in rope.items()}
    types = c.layer_types or [
        "sliding_attention" if (i + 1) % 6 and i + 1 < depth else "full_attention"
        for i in range(depth)
    ]
    spans = listed(types, depth, {"full_attention": None, "sliding_attention": sym.window})
    refuse(sym.window in spans and c.sliding_window is None, "missing key 'sliding_window'")
    for kind in set(types):
        refuse(kind not in still, f"key 'rope_parameters': has no {kind!r}")
    mixers = [
        attention(
            bias=c.attention_bias,
            qk_norm="head",
            gate="element",
            head_gate_bias=True,
            window=span,
            rotary_dim=0 if still[kind] else sym.head_dim,
            query_scaled=still[kind],
        )
        for kind, span in zip(types, spans, strict=True)
    ]
    plain = c.mlp_layer_types is None
    return routed(
        c,
        name,
        mixers,
        [i < 3 for i in range(depth)] if plain else dense_layers(c),
        Ends(softcap=c.final_logit_softcapping is not None),
        around=AROUND | {"scaled": True, "stream_scaled": True},
        sigmoid=True,
    )


def _part(c: Any, span: Any, usual: float) -> int:
    """The rotated elements of a head: ``rope_parameters`` may have the factor by kind of layer."""
    kind = "full_attention" if span is None else "sliding_attention"
    given = (c.rope_parameters or {}).get(kind)
    size = int(head_size(c) * (float(given.get("partial_rotary_factor", 1)) if given else usual))
    refuse(not 0 < size <= head_size(c), f"key 'rope_parameters': {size} elements rotated")
    return size - size % 2


def laguna(c: LagunaConfig, name: str) -> Model:
    """Laguna: heads by layer, a softplus gate for each; the scores' offsets as in Trinity."""
    refuse(c.moe_router_logit_softcapping > 0, "key 'moe_router_logit_softcapping': only 0")
    refuse(c.moe_apply_router_weight_on_input, "key 'moe_apply_router_weight_on_input': true")
    spans = windows(c, c.sliding_window, lambda _: False)
    step = isinstance(c, StepConfig)
    heads = c.num_attention_heads_per_layer or [c.num_attention_heads] * len(spans)
    if isinstance(c, StepConfig):
        heads = _step_heads(c, spans)
    each_layer(heads, len(spans), "num_attention_heads_per_layer")
    kv_heads = c.num_key_value_heads or c.num_attention_heads
    mixers: list[Block] = []
    for span, count in zip(spans, heads, strict=True):
        refuse(count % kv_heads != 0, f"key 'num_attention_heads_per_layer': {count}")
        part = _part(c, span, 0.5 if span is None and not step else 1)
        mixer = attention(
            bias=c.attention_bias,
            qk_norm="head",
            window=span,
            heads=sym.heads if len(set(heads)) == 1 else count,
            gate="head" if c.gating is True or c.gating == "per-head" else "element",
            gate_function="sigmoid" if step else "softplus",
            rotary_dim=sym.head_dim if part == head_size(c) else part,
        )
        mixers.append(mixer)
    return _sigmoid(c, name, mixers, router_bias=not step, sizes={"heads": heads[0]})


def _step_heads(c: StepConfig, spans: Sequence[Any]) -> list[int]:
    """The heads of every layer, which files say in three ways."""
    refuse(not c.use_head_wise_attn_gate, "key 'use_head_wise_attn_gate': false is not modelled")
    other = (c.attention_other_setting or {}).get("num_attention_heads")
    sliding = c.num_sliding_attention_heads or other or c.num_attention_heads
    heads = [sliding if span else c.num_attention_heads for span in spans]
    for index, own in (c.per_layer_config or {}).items():
        refuse(set(own) != {"num_attention_heads"}, "key 'per_layer_config': only of heads")
        heads[int(index)] = own["num_attention_heads"]
    return heads


def step(c: StepConfig, name: str) -> Model:
    """Step 3.5: heads by kind of layer, a sigmoid gate for each, DeepSeek's experts."""
    refuse(c.mlp_bias, "key 'mlp_bias': true is not modelled")
    depth = c.num_hidden_layers
    if c.layer_types and len(c.layer_types) == depth + c.num_nextn_predict_layers:
        c.layer_types = c.layer_types[:depth]
    if c.moe_layers_enum is not None and c.mlp_layer_types is None:
        chosen = {int(each) for each in c.moe_layers_enum.split(",") if each.strip()}
        c.mlp_layer_types = ["sparse" if i in chosen else "dense" for i in range(depth)]
    return laguna(c, name)


def flint(c: FlintConfig, name: str) -> Model:
    """Flint: Qwen 3 MoE with sinks, a shared expert and sigmoid scores."""
    depth, step = c.num_hidden_layers, c.decoder_sparse_step
    only, last = [0, 1] if c.mlp_only_layers is None else c.mlp_only_layers, depth - 1
    mixers = _mixers(c, lambda i: i > 1 and i % 4 != 1 and i < last, qk_norm="head", sinks=True)
    dense = [i in only or (i + 1) % step != 0 for i in range(depth)]
    return routed(c, name, mixers, dense, shared=c.shared, sigmoid=True)


def _as_flash(c: MimoConfig) -> None:
    """What early files say, in the words of the class.

    Raises:
        SpecError: windowed layers of other sizes than the class gives them.
    """
    fixed = {
        "swa_num_attention_heads": c.num_attention_heads,
        "swa_num_key_value_heads": 2 * (c.num_key_value_heads or c.num_attention_heads),
        "swa_head_dim": head_size(c),
        "swa_v_head_dim": c.v_head_dim,
    }
    for key, usual in fixed.items():
        refuse(getattr(c, key) not in (None, usual), f"key {key!r}: only {usual} is modelled")
    refuse(c.add_full_attention_sink_bias, "key 'add_full_attention_sink_bias': only false")
    refuse(not c.add_swa_attention_sink_bias, "key 'add_swa_attention_sink_bias': only true")
    if c.sliding_window_size is not None:
        c.sliding_window = c.sliding_window_size + 1
    if c.hybrid_layer_pattern is not None and c.layer_types is None:
        words = ("full_attention", "sliding_attention")
        c.layer_types = [words[each] for each in c.hybrid_layer_pattern]
    if c.moe_layer_freq is not None and c.mlp_layer_types is None:
        c.mlp_layer_types = ["sparse" if each else "dense" for each in c.moe_layer_freq]


def mimo(c: MimoConfig, name: str) -> Model:
    """MiMo V2 Flash: windowed layers with sinks and twice the key-value heads, narrower values."""
    _as_flash(c)
    mixers: list[Block] = [
        attention(
            qkv_bias=c.attention_bias,
            value_dim=sym.value_dim,
            window=span,
            kv_heads=sym.kv_heads if span is None else 2 * sym.kv_heads,
            sinks=span is not None,
            rotary_dim=sym.rotary_dim,
        )
        for span in windows(c, c.sliding_window, lambda i: i > 0 and (i + 1) % 6 != 0)
    ]
    part = _part(c, None, c.partial_rotary_factor)
    return _sigmoid(c, name, mixers, sizes={"rotary_dim": part, "value_dim": c.v_head_dim})


def _one(c: Any, key: str) -> int:
    """A number, or the one that every layer has.

    Raises:
        SpecError: layers that differ.
    """
    given = getattr(c, key)
    listed = given if isinstance(given, list) else [given]
    refuse(len(set(listed)) != 1, f"key {key!r}: layers that differ are not modelled")
    return int(listed[0])


def hunyuan_moe(c: HunyuanMoeConfig, name: str) -> Model:
    """Hunyuan A13B: a shared MLP beside the experts, normalized queries and keys."""
    refuse(c.use_cla, "key 'use_cla': layers that share caches are not modelled for Hunyuan")
    refuse(not c.use_qk_norm, "key 'use_qk_norm': false is not modelled for Hunyuan")
    refuse(not c.use_mixed_mlp_moe, "key 'use_mixed_mlp_moe': false is not modelled")
    refuse(c.head_dim is None, "missing key 'head_dim'")
    width, depth = c.intermediate_size, c.num_hidden_layers
    for key, usual in (("moe_intermediate_size", width), ("num_shared_expert", 1)):
        if getattr(c, key) is not None:
            refuse(_one(c, key) != usual, f"key {key!r}: only {usual} is modelled")
    mixers = [attention(bias=c.attention_bias, qk_norm="head")] * depth
    sizes: dict[str, int | None] = {
        "experts": _one(c, "num_experts"),
        "active_experts": _one(c, "moe_topk"),
        "expert_intermediate": width,
    }
    return routed(c, name, mixers, [False] * depth, shared=width, sizes=sizes)


def _sole(c: SoleConfig, name: str, mixers: Sequence[Block], **options: Any) -> Model:
    """Experts of ``intermediate_size`` in every layer."""
    sizes: dict[str, int | None] = {"expert_intermediate": c.intermediate_size}
    return routed(c, name, mixers, [False] * len(mixers), sizes=sizes, **options)


def flex_olmo(c: SoleConfig, name: str) -> Model:
    """FlexOlmo: OLMo 2 with experts."""
    return _sole(c, name, _mixers(c, qk_norm="all"), around={"norm": None, **AROUND})


def aria(c: AriaConfig, name: str) -> Model:
    """Aria's language model: Llama with experts and shared ones."""
    refuse(c.hidden_act != "silu", f"key 'hidden_act': {c.hidden_act!r} is not modelled here")
    shared = c.num_shared_experts * c.intermediate_size
    return _sole(c, name, _mixers(c), shared=shared, shared_bias=c.mlp_bias)


def granitemoe_window(c: SoleConfig, name: str) -> Model:
    """Granite MoE with windows and sinks."""
    ends, shared = Ends(scaled=True, head_scaled=True), c.shared_intermediate_size
    around = {"scaled": True}
    return _sole(c, name, granite_mixers(c), ends=ends, around=around, shared=shared)


def cohere2_moe(c: Cohere2MoeConfig, name: str) -> Model:
    """Command A with experts: attention and experts side by side, windows in three of four."""
    first, period = c.first_k_dense_replace, c.sliding_window_pattern
    prefix, width = c.prefix_dense_sliding_window_pattern, c.prefix_dense_intermediate_size
    norm, dense = NORM if c.rms_norm_eps is None else RMS, dense_layers(c)
    refuse(any(dense) and width is None, "missing key 'prefix_dense_intermediate_size'")

    def slides(i: int) -> bool:
        return (i + 1) % prefix != 0 if i < first else (i - first + 1) % period != 0

    turning = [span or c.sliding_window is None for span in windows(c, c.sliding_window, slides)]
    mixers: list[Block] = [
        attention(
            bias=c.attention_bias,
            window=span,
            rotary_dim=sym.head_dim if turns or (alone and prefix == 1) else 0,
        )
        for span, turns, alone in zip(
            windows(c, c.sliding_window, slides), turning, dense, strict=True
        )
    ]
    return routed(
        c,
        name,
        mixers,
        dense,
        Ends(norm=norm, head_scaled=True),
        shared=c.num_shared_experts * c.intermediate_size,
        around={"norm": norm, "parallel": True, "mlp_norm": None},
        sizes={"intermediate": width, "expert_intermediate": c.intermediate_size},
        sigmoid=c.expert_selection_fn == "sigmoid",
    )


def conv_mixers(c: Any, known: dict[str, Block]) -> list[Block]:
    """Short convolutions (``conv``) and the other mixers that ``layer_types`` lists.

    Raises:
        SpecError: no list, one of another length than the layers, or an unknown type.
    """
    refuse(c.layer_types is None, "missing key 'layer_types'")
    known["conv"] = ShortConv(hidden=sym.hidden, kernel=sym.conv_kernel, bias=c.conv_bias)
    return listed(c.layer_types, c.num_hidden_layers, known)


def lfm2_moe(c: Lfm2MoeConfig, name: str) -> Model:
    """LFM2 with experts: short convolutions or attention, sigmoid scores."""
    c.hidden_act = "silu"
    return _sigmoid(c, name, conv_mixers(c, {"full_attention": attention(qk_norm="head")}))


class Lfm3Config(Lfm2MoeConfig, kw_only=True):
    """LFM2 without experts, with windows."""

    num_experts: Count = 1
    num_experts_per_tok: Count = 1
    moe_intermediate_size: Count = 1
    use_sandwich_norm: bool = True
    use_attention_gate: bool = True


def lfm3(c: Lfm3Config, name: str) -> Model:
    """LFM3: short convolutions, windows and full attention, gates by head, norms around."""
    gated: Any = {"qk_norm": "head", "gate": "head" if c.use_attention_gate else "none"}
    bias = c.attention_bias
    known: dict[str, Block] = {
        "full_attention": attention(bias=bias, **gated),
        "sliding_attention": attention(bias=bias, window=sym.window, **gated),
    }
    sliding = "sliding_attention" in (c.layer_types or [])
    refuse(sliding and (c.sliding_window or 1) == 1, "key 'sliding_window': none, or of 1 token")
    around = AROUND if c.use_sandwich_norm else {}
    mixers = conv_mixers(c, known)
    c.hidden_act = "silu"
    return routed(c, name, mixers, [True] * len(mixers), around=around)


def ocr(c: OcrConfig, name: str) -> Model:
    """The text model of DeepSeek-OCR 2: Llama's attention, DeepSeek V2's experts."""
    refuse(c.mlp_bias, "key 'mlp_bias': true is not modelled")
    return routed(c, name, _mixers(c), dense_layers(c), shared=c.shared)


_IGNORED = """
    moe_routed_scaling_factor n_group num_nextn_predict_layers routed_scaling_factor scoring_func
    topk_group topk_method
"""
_AFMOE = """
    load_balance_coeff num_expert_groups num_limited_groups route_norm route_scale score_func
    use_grouped_mm
"""
_GRANITE = "attention_multiplier embedding_multiplier logits_scaling residual_multiplier"
_HUNYUAN = """
    add_classification_head attention_head_dim class_num cla_share_factor eod_token_id
    group_limited_greedy im_end_id im_newline_id im_start_id mask_init_id mlp_bias
    moe_drop_tokens moe_layer_num_skipped moe_random_routing_dropped_token norm_type
    num_media_embeds org_vocab_size pad_id pool_type position_embedding_xdrope
    text_end_id text_start_id unk_id use_rotary_pos_emb
"""
_ROUTED = {"n_routed_experts": "num_experts", "n_shared_experts": "num_shared_experts"}
_LOCAL = {"num_local_experts": "num_experts"}


def _family(config: Any, build: Any, example: str, *aliases: dict[str, str], more: str = "") -> Any:
    merged = {old: new for each in aliases for old, new in each.items()}
    return Family(config, build, example, merged, ignored=f"{_IGNORED} {more}")


_STEP = """
    moe_router_scaling_factor mtp_layer_types mtp_mlp_layer_types need_fp32_gate
    scoring_func swiglu_limits swiglu_limits_shared use_moe_router_bias
"""

FAMILIES = {
    "deepseek_ocr2_text": _family(OcrConfig, ocr, "deepseek-ocr2-default", _ROUTED),
    "step3p5": _family(
        StepConfig,
        step,
        "step-3.7-flash",
        _ROUTED,
        {"share_expert_dim": "shared_expert_intermediate_size"},
        {"moe_num_experts": "num_experts", "moe_top_k": "num_experts_per_tok"},
        {"num_attention_groups": "num_key_value_heads"},
        more=_STEP,
    ),
    "dots1": _family(DotsConfig, dots, "dots.llm1", _ROUTED),
    "exaone_moe": _family(PeriodConfig, exaone_moe, "k-exaone-236b"),
    "afmoe": _family(
        PeriodConfig,
        afmoe,
        "trinity-mini",
        {"num_dense_layers": "first_k_dense_replace"},
        {"global_attn_every_n_layers": "sliding_window_pattern"},
        more=_AFMOE,
    ),
    "laguna": _family(LagunaConfig, laguna, "laguna-xs.2", _LOCAL),
    "mellum": _family(RoutedConfig, mellum, "mellum2-12b-a2.5b", _LOCAL),
    "kolibri1": _family(PeriodConfig, exaone_moe, "kolibri-1", _LOCAL),
    "beam": _family(BeamConfig, beam, "mellum2-12b-a2.5b", _LOCAL, more="final_logit_softcapping"),
    "flint": _family(FlintConfig, flint, "flint", _LOCAL),
    "hy_v3": _family(
        RoutedConfig,
        hy_v3,
        "hy3-preview",
        _LOCAL,
        more="enable_moe_fp32_combine mlp_bias router_scaling_factor",
    ),
    "hunyuan_v1_moe": Family(
        HunyuanMoeConfig,
        hunyuan_moe,
        "hunyuan-a13b",
        {"num_experts_per_tok": "moe_topk"} | _LOCAL,
        ignored=_HUNYUAN,
        kin=("hunyuan",),
    ),
    "solar_open": _family(RoutedConfig, solar, "solar-open-100b", _ROUTED),
    "mimo_v2_flash": _family(
        MimoConfig,
        mimo,
        "mimo-v2-flash",
        _ROUTED,
        more="attention_chunk_size attention_value_scale hybrid_block_size layernorm_epsilon"
        " swa_rope_theta",
    ),
    "flex_olmo": _family(SoleConfig, flex_olmo, "flex-olmo-7x7b"),
    "aria_text": _family(
        AriaConfig,
        aria,
        "aria-default",
        {"moe_num_experts": "num_experts", "moe_topk": "num_experts_per_tok"},
        {"moe_num_shared_experts": "num_shared_experts"},
    ),
    "granitemoe_swa": _family(
        SoleConfig, granitemoe_window, "granitemoe-swa-default", _LOCAL, more=_GRANITE
    ),
    "cohere2_moe": _family(
        Cohere2MoeConfig,
        cohere2_moe,
        "cohere2-moe-default",
        more="logit_scale shared_expert_combination_strategy",
    ),
    "lfm3": _family(
        Lfm3Config,
        lfm3,
        "lfm3-1.7b",
        {"tie_embedding": "tie_word_embeddings", "conv_L_cache": "conv_kernel"},
        more="norm_eps",
    ),
    "lfm2_moe": _family(
        Lfm2MoeConfig,
        lfm2_moe,
        "lfm2-8b-a1b",
        {"tie_embedding": "tie_word_embeddings", "conv_L_cache": "conv_kernel"},
        {"num_dense_layers": "first_k_dense_replace"},
        more="conv_dim norm_eps num_heads use_expert_bias use_pos_enc",
    ),
}
