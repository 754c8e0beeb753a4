"""DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash: latent attention, dense layers, then experts."""

from lifesym.families.base import Config, per_head, refuse
from lifesym.families.decoder import SCALED, decoder
from lifesym.families.parts import RMS, experts, latent, layer, mlp
from lifesym.families.patterns import dense_layers
from lifesym.model import Model


def _check(c: Config) -> None:
    """Refuse grouped heads: the classes repeat them as if they were, and then fail."""
    heads = c.num_attention_heads
    kv_heads = c.num_key_value_heads or heads
    refuse(
        heads // kv_heads > 1,
        f"key 'num_key_value_heads': {kv_heads}, but latent attention has one for each of the"
        f" {heads} heads",
    )


def deepseek(c: Config) -> Model:
    """DeepSeek V2 and V3, Kimi K2, GLM 4.7 Flash: latent attention, shared experts, dense layers.

    V2 and Mistral 4 route by softmax, the others by sigmoid; the bias they add to the scores is a
    buffer. A.X K1 normalizes what experts give.
    """
    _check(c)
    refuse(
        c.num_experts_per_tok > c.n_routed_experts,
        f"key 'num_experts_per_tok': {c.num_experts_per_tok} of {c.n_routed_experts} experts",
    )
    shared = c.n_shared_experts or 0  # none of them is as good as null
    sigmoid = c.model_type not in ("deepseek_v2", "mistral4")
    after = RMS if c.model_type == "axk1" else None
    moe = layer(latent(c), experts(c, sigmoid=sigmoid, shared=shared), mlp_post_norm=after)
    plain = layer(latent(c), mlp(c))
    layers = [plain if alone else moe for alone in dense_layers(c)]
    return decoder(c, layers, shared_intermediate=shared * c.moe_intermediate_size)


def youtu(c: Config) -> Model:
    """Youtu LLM: latent attention without experts."""
    _check(c)
    return decoder(c, layer(latent(c), mlp(c)))


def minicpm3(c: Config) -> Model:
    """MiniCPM 3: latent attention without experts, and constants.

    They scale embeddings, branches and, counted on the logits, the last state.
    """
    _check(c)
    value_dim = c.v_head_dim or per_head(c.hidden_size, c.num_attention_heads)
    return decoder(c, layer(latent(c), mlp(c), scaled=True), SCALED, value_dim=value_dim)
