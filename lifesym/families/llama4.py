"""Llama 4: attention in chunks with rotary positions, whole attention without, experts between."""

from lifesym import symbols as sym
from lifesym.families.base import Count, Family, Whole, each_layer, refuse
from lifesym.families.decoder import attention, decoder, experts, layer, mlp
from lifesym.families.llama import LlamaConfig
from lifesym.model import Model


class Llama4Config(LlamaConfig, kw_only=True):
    """``intermediate_size`` is that of one expert; the defaults are the class's."""

    head_dim: Count | None = 128
    intermediate_size_mlp: Count = 16384
    num_local_experts: Count = 16
    num_experts_per_tok: Count = 1
    moe_layers: list[Whole] | None = None
    interleave_moe_layer_step: Count = 1
    no_rope_layers: list[int] | None = None
    no_rope_layer_interval: Count = 4
    attention_chunk_size: Count | None = 8192
    layer_types: list[str] | None = None
    use_qk_norm: bool = True
    attn_temperature_tuning: bool = True


def _whole(c: Llama4Config) -> list[bool]:
    """Which layers attend to everything, which are those without rotary positions.

    Raises:
        SpecError: lists of another length than the layers, or that say otherwise.
    """
    depth = c.num_hidden_layers
    rotary = c.no_rope_layers or [(i + 1) % c.no_rope_layer_interval for i in range(depth)]
    each_layer(rotary, depth, "no_rope_layers")
    local = "full_attention" if c.attention_chunk_size is None else "chunked_attention"
    usual = [local if rotates else "full_attention" for rotates in rotary]
    refuse(
        c.layer_types not in (None, usual),
        "key 'layer_types': only chunks where 'no_rope_layers' has rotary positions are modelled",
    )
    return [not rotates for rotates in rotary]


def llama4(c: Llama4Config, name: str) -> Model:
    """Llama 4: attention in chunks or, without positions, to everything; experts in some layers.

    Chunks have the cache of a sliding window as long, as in transformers. Counted are the chosen
    experts; transformers' code runs every expert on every token.
    """
    whole = _whole(c)
    depth, step = range(c.num_hidden_layers), c.interleave_moe_layer_step
    routed = set(depth[step - 1 :: step] if c.moe_layers is None else c.moe_layers)
    moe = experts(c.hidden_act, sigmoid=True, shared=True)
    plain = mlp(c.hidden_act)
    chunk = None if c.attention_chunk_size is None else sym.window
    near = attention(
        bias=c.attention_bias,
        qk_norm="plain" if c.use_qk_norm else "none",
        window=chunk,
        chunked=chunk is not None,
    )
    far = attention(bias=c.attention_bias, rotary_dim=0, query_scaled=c.attn_temperature_tuning)
    kinds = [(full, i in routed) for i, full in enumerate(whole)]
    return decoder(
        c,
        name,
        [layer(far if full else near, moe if sparse else plain) for full, sparse in kinds],
        expert_intermediate=c.intermediate_size,
        intermediate=c.intermediate_size_mlp,
        shared_intermediate=c.intermediate_size,
        window=c.attention_chunk_size,
    )


FAMILIES = {
    "llama4_text": Family(
        Llama4Config,
        llama4,
        "llama-4-scout",
        ignored="attn_scale cache_implementation floor_scale for_llm_compressor",
    )
}
