"""Llama 4: attention in chunks with rotary positions, whole attention without, experts between."""

from lifesym import symbols as sym
from lifesym.families.base import Config, refuse
from lifesym.families.decoder import decoder
from lifesym.families.parts import attention, experts, layer, mlp
from lifesym.families.patterns import still_layers
from lifesym.model import Model


def llama4_text(c: Config) -> Model:
    """Llama 4: attention in chunks or, without positions, to everything; experts in some layers.

    Chunks have the cache of a sliding window as long, as in transformers. Counted are the chosen
    experts; transformers' code runs every expert on every token.
    """
    still, chunks = still_layers(c), c.attention_chunk_size is not None
    local = "chunked_attention" if chunks else "full_attention"
    refuse(
        c.layer_types not in (None, ["full_attention" if each else local for each in still]),
        "key 'layer_types': only chunks where 'no_rope_layers' has rotary positions are modelled",
    )
    depth, step = range(c.num_hidden_layers), c.interleave_moe_layer_step
    routed = set(depth[step - 1 :: step] if c.moe_layers is None else c.moe_layers)
    moe, normed = experts(c, sigmoid=True, shared=True), "plain" if c.use_qk_norm else "none"
    near = attention(c, qk_norm=normed, window=sym.window if chunks else None, chunked=chunks)
    far = attention(c, rotary_dim=0, query_scaled=c.attn_temperature_tuning)
    return decoder(
        c,
        [
            layer(far if each else near, moe if i in routed else mlp(c))
            for i, each in enumerate(still)
        ],
        expert_intermediate=c.intermediate_size,
        intermediate=c.intermediate_size_mlp,
        shared_intermediate=c.intermediate_size,
        window=c.attention_chunk_size,
    )
