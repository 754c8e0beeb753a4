"""Formats from files: what a config says of its quantization is what is counted."""

from typing import Any

import pytest
from sympy import Integer

import lifesym as ls
from lifesym.errors import SpecError
from lifesym.formats import Matrix
from lifesym.model import Model
from lifesym.quantization import matches

LLAMA = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
LINEAR = 2 * (2 * 256 * 256 + 2 * 128 * 256 + 3 * 256 * 512)
OUTPUTS = 2 * (2 * 256 + 2 * 128 + 2 * 512 + 256)
MATRICES = 2 * 7
ENDS = 2 * 1000 * 256
VECTORS = 5 * 256
FLOAT8 = {"num_bits": 8, "type": "float"}
MOE = {
    **LLAMA,
    "model_type": "mixtral",
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "sliding_window": None,
}


def stored(quantization: Any, **keys: Any) -> Model:
    return Model.from_hf(LLAMA | keys | {"quantization_config": quantization})


def compressed(weights: dict[str, Any], **keys: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": FLOAT8}
    groups = {"config_groups": {"group_0": group}}
    return {"quant_method": "compressed-tensors", "ignore": ["lm_head"], **groups, **keys}


SCHEMES: list[tuple[dict[str, Any], Any]] = [
    # bytes of the quantized matrices alone, by the layouts that `lifesym.quantization` names
    (
        {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]},
        LINEAR + 4 * LINEAR // 128**2,
    ),
    ({"quant_method": "fp8", "activation_scheme": "static"}, LINEAR + 4 * MATRICES),
    ({"quant_method": "fbgemm_fp8"}, LINEAR + 4 * OUTPUTS),
    (compressed({**FLOAT8, "strategy": "channel"}), LINEAR + 2 * OUTPUTS),
    (compressed({**FLOAT8, "strategy": "tensor"}), LINEAR + 2 * MATRICES),
    (
        compressed({**FLOAT8, "strategy": "block", "block_structure": [128, 128]}),
        LINEAR + 2 * LINEAR // 128**2,
    ),
    (
        compressed({"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}),
        LINEAR // 2 + 2 * LINEAR // 128,
    ),
    (
        compressed({"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}),
        LINEAR // 2 + LINEAR // 16 + 8 * MATRICES,
    ),
    ({"quant_method": "gptq", "bits": 4, "group_size": 128}, LINEAR // 2 + LINEAR // 128 * 5 // 2),
    ({"quant_method": "gptq", "bits": 8, "group_size": -1}, LINEAR + 3 * OUTPUTS),
    ({"quant_method": "awq", "bits": 4, "group_size": 64}, LINEAR // 2 + LINEAR // 64 * 5 // 2),
    ({"quant_method": "auto-round", "bits": 4, "group_size": 128}, LINEAR * 133 // 256),
    (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        LINEAR // 2 + 4 * LINEAR // 64,
    ),
    (
        {
            "quant_method": "bitsandbytes",
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
        },
        LINEAR // 2 + LINEAR // 64 + 4 * LINEAR // (64 * 256),
    ),
    ({"quant_method": "bitsandbytes", "load_in_8bit": True}, LINEAR + 4 * OUTPUTS),
    ({"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ["lm_head"]}, LINEAR + 8 * 14),
    (
        {"quantization": {"quant_algo": "NVFP4", "exclude_modules": ["lm_head"]}},
        LINEAR // 2 + LINEAR // 16 + 8 * MATRICES,
    ),
    (
        {"quant_method": "torchao", "quant_type": "int4_weight_only"},
        LINEAR // 2 + 4 * LINEAR // 128,
    ),
    (
        {
            "quant_method": "torchao",
            "quant_type": {"default": {"_type": "Float8WeightOnlyConfig", "_data": {}}},
        },
        LINEAR + 2 * OUTPUTS,
    ),
    (
        {
            "quant_method": "hqq",
            "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}},
        },
        LINEAR // 2 + 4 * LINEAR // 64,
    ),
    ({"quant_method": "bitnet"}, LINEAR // 4 + 2 * MATRICES),
]


@pytest.mark.parametrize(("quantization", "quantized"), SCHEMES)
def test_bytes_are_those_of_the_layout(quantization: dict[str, Any], quantized: int) -> None:
    """Beside the linear layers stand embedding, head and norms in 16 bits."""
    model = stored(quantization)
    assert model.weight_bytes() == quantized + 2 * (ENDS + VECTORS)
    assert model.weight_bytes("bf16") == 2 * (LINEAR + ENDS + VECTORS)


def test_mlx_quantizes_the_ends_too() -> None:
    """4 bits, and a 16-bit scale and offset a group of 64: 4.5 bits of every matrix."""
    model = Model.from_hf(LLAMA | {"quantization": {"bits": 4, "group_size": 64}})
    assert model.weight_bytes() == (LINEAR + ENDS) * 9 // 16 + 2 * VECTORS


def test_a_text_config_may_say_it() -> None:
    inner = {**LLAMA, "quantization_config": {"quant_method": "fbgemm_fp8"}}
    outer = {"model_type": "llava", "text_config": inner}
    assert Model.from_hf(outer).weight_bytes() == stored(SCHEMES[2][0]).weight_bytes()


def test_layers_that_stay_as_they_are_count_as_their_share() -> None:
    """Of two layers one keeps its MLP: 3 * 256 * 512 values in 2 bytes instead of 1."""
    plain = stored({"quant_method": "fp8"})
    left = stored({"quant_method": "fp8", "modules_to_not_convert": ["model.layers.1.mlp"]})
    assert left.weight_bytes() - plain.weight_bytes() == 3 * 256 * 512 - 3 * 4


@pytest.mark.parametrize(
    "pattern", ["model.layers.*.self_attn", "re:.*self_attn.*", "self_attn", "*self_attn*"]
)
def test_lists_are_read_as_their_quantizers_read_them(pattern: str) -> None:
    plain = stored({"quant_method": "fbgemm_fp8"})
    left = stored({"quant_method": "fbgemm_fp8", "modules_to_not_convert": [pattern]})
    attention = 2 * (2 * 256 * 256 + 2 * 128 * 256)
    assert left.weight_bytes() - plain.weight_bytes() == attention - 4 * 2 * (2 * 256 + 2 * 128)


def test_routers_and_experts() -> None:
    """MXFP4 is that of the experts alone; routers are left out of every other scheme's layers."""
    plain = Model.from_hf(MOE)
    experts = 2 * 4 * 3 * 256 * 512
    sparse = Model.from_hf(MOE | {"quantization_config": {"quant_method": "mxfp4"}})
    assert plain.weight_bytes() - sparse.weight_bytes() == 2 * experts - experts * 17 // 32
    fp8 = Model.from_hf(MOE | {"quantization_config": {"quant_method": "fbgemm_fp8"}})
    assert dict(fp8.stored.weights.roles)["router"].name == "bf16"


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 4), ("bfloat16", 2), ("float16", 2), ("torch.float32", 4)]
)
def test_types_without_quantization(dtype: str, size: int) -> None:
    model = Model.from_hf(LLAMA | {"torch_dtype": dtype})
    assert model.weight_bytes() == size * model.parameters


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"quant_method": "aqlm"}, "quant_method 'aqlm' is not known"),
        ({"bits": 3}, "quant_method None is not known"),
        ("fp8", "must be an object, not str"),
        ({"quant_method": "fp8", "weight_block_size": [128]}, "must be two whole numbers"),
        ({"quant_method": "compressed-tensors"}, "'config_groups' is missing"),
        ({"quant_method": "bitsandbytes"}, "neither 'load_in_4bit' nor 'load_in_8bit'"),
        ({"quant_method": "modelopt", "quant_algo": "FP3"}, "quant_algo 'FP3' is not known"),
        ({"quant_method": "gptq", "bits": "four"}, "'bits' must be a whole number"),
        ({"quant_method": "fp8", "modules_to_not_convert": ["re:("]}, "no regular expression"),
    ],
)
def test_what_is_not_known_is_named(keys: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        stored(keys)


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(SpecError, match="key 'torch_dtype': 'bfloat61' is not known"):
        Model.from_hf(LLAMA | {"torch_dtype": "bfloat61"})


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"kv_cache_quant_algo": "FP8"}, "fp8"),
        ({"kv_cache_scheme": {"num_bits": 8, "type": "float"}}, "fp8"),
        ({}, "bf16"),
    ],
)
def test_the_cache_has_a_format_of_its_own(said: dict[str, Any], name: str) -> None:
    model = stored({"quant_method": "modelopt", "quant_algo": "FP8"} | said)
    precision = ls.forecast(model, ls.load_hardware("h100"), 10, 2).precision
    assert precision.kv.name == name
    asked = ls.forecast(model, ls.load_hardware("h100"), 10, 2, kv="int8").precision
    assert (asked.kv.name, asked.origins["kv"]) == ("int8", "option")


@pytest.mark.usefixtures("eager")
def test_quantized_activations_count_at_their_peak_where_there_is_one() -> None:
    """Of an FP8 model the products of quantized weights are twice as fast; scores and head not."""
    model = stored(SCHEMES[0][0])
    h100, a100 = ls.load_hardware("h100"), ls.load_hardware("a100")
    times = {term.name: term for term in ls.forecast(model, h100, 64, 2).ttft.terms}
    fast = times["mlp_up"].cost.matmul_flops / times["mlp_up"].compute
    assert fast == h100.matrix["fp8"]
    assert times["mlp_up"].cost.dequant_ops == 0
    for name in ("attn_qk", "lm_head"):
        term = times[name]
        vector = term.cost.vector_flops / h100.vector["fp32"]
        assert term.cost.matmul_flops / (term.compute - vector) == h100.matrix["bf16"]
    older = {term.name: term for term in ls.forecast(model, a100, 64, 2).ttft.terms}
    assert older["mlp_up"].cost.dequant_ops == 2 * 256 * 512


def test_16_bit_weights_are_cast_to_the_type_that_a_device_has() -> None:
    model = Model.from_hf(LLAMA)
    precision = ls.forecast(model, ls.load_hardware("v100"), 10, 2).precision
    assert (precision.weights.name, precision.activations.name) == ("fp16", "fp16")
    assert precision.origins["weights"] == "bf16 from the config"


PUBLISHED = {
    # metadata.total_size of model.safetensors.index.json, openai/gpt-oss-20b and -120b (Hub)
    "gpt-oss-20b": 13_761_264_768,
    "gpt-oss-120b": 65_248_815_744,
}


@pytest.mark.parametrize(("name", "size"), PUBLISHED.items())
def test_published_checkpoints(name: str, size: int) -> None:
    assert ls.load_model(name).weight_bytes() == size


def test_the_published_kimi_k2() -> None:
    """The headers of the files of moonshotai/Kimi-K2-Instruct (Hub) name 1,029,173,256,720 bytes.

    So an audit of all its tensors found (2026-09-26), with 1,026,408,232,448 parameters. Those that
    are not modelled are the routers' biases: one in fp32 an expert.
    """
    model = ls.load_model("kimi-k2")
    biases = 60 * 384
    assert model.parameters + biases == 1_026_408_232_448
    assert abs(model.weight_bytes() + 4 * biases - 1_029_173_256_720) < 20_000  # whole blocks


def test_the_published_minimax_m2() -> None:
    """The headers of MiniMaxAI/MiniMax-M2 (Hub) name 230,121,630,720 bytes (README of hf-mem).

    MiniMax-M2.7 has its sizes, and its 228,689,764,864 parameters. The files keep routers in fp32,
    which the config does not say, and a bias in fp32 an expert, which is not modelled.
    """
    model = ls.load_model("minimax-m2.7")
    biases = 62 * 256
    assert model.parameters + biases == 228_689_764_864
    unsaid = 2 * biases * 3072 + 4 * biases
    assert model.weight_bytes() + unsaid == 230_121_630_720
    assert unsaid < 230_121_630_720 / 1000


def test_the_published_deepseek_v3() -> None:
    """Its 163 files have 688,586,727,753 bytes: the model, and a module of a 62nd layer beside it.

    The module is an expert layer, a 16-bit projection of two hidden states, three norms, and
    copies of embedding and head (README_WEIGHTS.md of deepseek-ai/DeepSeek-V3).
    """
    model = ls.load_model("deepseek-v3")
    assert model.stored is not None
    precision = ls.formats.Precision.of(weights=model.stored.weights)
    experts = model.forward(1, 1, 0).filter(section="expert_layers").matrices()
    layer = sum(precision.weight_bytes(matrix) for matrix in experts) / 58
    module = layer + 2 * (2 * 7168 * 7168 + 3 * 7168 + 2 * 129_280 * 7168)
    assert abs(model.weight_bytes() + module - 688_586_727_753) < 688_586_727_753 / 10_000


def test_deepseek_v3_fits_on_eight_devices() -> None:
    """Its FP8 checkpoint: 671.0 GB of weights beside 16-bit ends, an eighth of it and the cache."""
    f = ls.forecast(
        ls.load_model("deepseek-v3"), ls.load_hardware("h200-sxm"), 1024, 16, tensor_parallel=8
    )
    assert f.precision.weights.name == "fp8"
    assert f.precision.origins["weights"] == "from the config"
    assert 84.8e9 < float(f.memory) < 85.3e9 < f.hardware.capacity


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("lm_head", "lm_head", True),
        ("gate", "model.layers.0.mlp.gate", True),
        ("gate", "model.layers.0.mlp.gate_proj", False),
        ("model.layers.1", "model.layers.11.mlp", False),
        ("model.layers.1*", "model.layers.11.mlp", True),
        ("re:.*gate$", "model.layers.1.mlp.gate", True),
    ],
)
def test_patterns(pattern: str, name: str, found: bool) -> None:
    assert matches(pattern, name) is found


def test_narrow_rows_and_shares() -> None:
    """Rows that are no multiple of 256 in another format; half of the layers in a third."""
    narrow = ls.formats.Format(name="narrow", bits=6)
    wide = ls.formats.Format(name="wide", bits=4, multiple=256, narrow=narrow)
    odd = Matrix(role="mlp_up", rows=Integer(3), columns=Integer(896))
    even = Matrix(role="mlp_up", rows=Integer(3), columns=Integer(512))
    assert (wide.bits_of(odd), wide.bits_of(even)) == (6 * 3 * 896, 4 * 3 * 512)
    half = Integer(1) / 2
    mixed = ls.formats.Format(name="mixed", bits=4, parts=((half, wide), (half, narrow)))
    assert mixed.bits_of(even) == 5 * 3 * 512


LAYER = LINEAR // 2
DOWN = 256 * 512
ATTENTION = 2 * 256 * 256 + 2 * 128 * 256
REST = 2 * (ENDS + VECTORS)


def bytes_of(quantization: Any, **keys: Any) -> Any:
    model = stored(quantization, **keys)
    return model.weight_bytes()


def test_modules_in_block_are_all_that_gptq_quantizes() -> None:
    # transformers, GPTQConfig: lists of lists of names inside a block; what is not listed is kept
    inside = [["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], ["mlp.down_proj"]]
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    four = ATTENTION - 256 * 256 + DOWN
    right = 2 * (four // 2 + four // 128 * 5 // 2 + 2 * (LAYER - four))
    assert bytes_of({**gptq, "modules_in_block_to_quantize": inside}) == right + REST


def test_gptq_dynamic_leaves_out_and_says_other_bits() -> None:
    # GPTQModel: "-:" leaves out what its expression means, "+:" or nothing says other options
    dynamic = {"-:.*self_attn.*": {}, r"+:.*down_proj.*": {"bits": 8, "group_size": 64}}
    gptq = {"quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": dynamic}
    four = 2 * DOWN
    right = 2 * (2 * ATTENTION + four // 2 + four // 128 * 5 // 2 + DOWN + DOWN // 64 * 3)
    assert bytes_of(gptq) == right + REST


@pytest.mark.parametrize("name", ["model.layers.1.mlp.down_proj", ".*1.mlp.down_proj"])
def test_auto_round_names_layers_of_other_bits(name: str) -> None:
    extra = {"lm_head": {"bits": 16, "data_type": "float"}, name: {"bits": 16}}
    rounded = {"quant_method": "auto-round", "bits": 4, "group_size": 128, "extra_config": extra}
    four = LINEAR - DOWN
    assert bytes_of(rounded) == four // 2 + four // 128 * 5 // 2 + 2 * DOWN + REST


def test_mlx_names_modules_of_other_bits_and_its_modes() -> None:
    usual = {"group_size": 64, "bits": 4}
    own = {"model.layers.0.mlp.down_proj": {"group_size": 64, "bits": 8}, "a.b": False}
    model = Model.from_hf({**LLAMA, "quantization": {**usual, **own}})
    four = LINEAR - DOWN + ENDS
    assert model.weight_bytes() == four * Integer(36) / 64 + DOWN * Integer(68) / 64 + 2 * VECTORS
    # MLX's mxfp4: one 8-bit scale a group of 32 and no offset
    exponents = Model.from_hf(
        {**LLAMA, "quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}
    )
    assert exponents.weight_bytes() == (LINEAR + ENDS) * Integer(17) / 32 + 2 * VECTORS


def test_mixed_precision_in_groups_of_named_modules() -> None:
    # ModelOpt's unified checkpoints of mixed precision: groups whose targets are modules' names
    def group(weights: dict[str, Any], part: str, names: str) -> dict[str, Any]:
        targets = [f"model.layers.{i}.{part}.{n}_proj" for i in range(2) for n in names.split()]
        return {"weights": weights, "input_activations": weights, "targets": targets}

    four = {"num_bits": 4, "type": "float", "group_size": 16}
    groups = {"a": group(FLOAT8, "self_attn", "q k v o"), "b": group(four, "mlp", "gate up down")}
    mixed = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "config_groups": groups}
    nvfp4 = 3 * DOWN // 2 + 3 * DOWN // 16 + 3 * 8
    assert bytes_of(mixed) == 2 * (ATTENTION + 4 * 2 + nvfp4) + REST


def test_a_quantization_of_no_known_module_is_refused() -> None:
    layers = {"encoder.foo": {"quant_algo": "FP8"}}
    mixed = {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    with pytest.raises(SpecError, match="names no module of the model"):
        stored({"quant_method": "modelopt", **mixed})


def test_torchao_group_size_that_is_no_number_is_refused() -> None:
    said = {"quant_type": "int4_weight_only", "quant_type_kwargs": {"group_size": "x"}}
    with pytest.raises(SpecError, match="'group_size' must be a whole number, not 'x'"):
        stored({"quant_method": "torchao", **said})


def test_layers_of_hybrids_are_counted_where_the_module_is() -> None:
    """Lists name the modules that exist: all attention of a hybrid may be one layer in four."""
    config = {
        **LLAMA,
        "model_type": "qwen3_next",
        "num_hidden_layers": 4,
        "head_dim": 64,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 128,
        "shared_expert_intermediate_size": 128,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 32,
        "full_attention_interval": 4,
    }
    kept = ["lm_head", "model.layers.3.self_attn.q_proj"]
    kept += [f"model.layers.{i}.linear_attn.in_proj_ba" for i in range(3)]
    block = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    said = {**block, "modules_to_not_convert": [*kept, "model.layers.0.linear_attn.out_proj"]}
    held = Model.from_hf({**config, "quantization_config": said}).stored
    assert held is not None
    formats = dict(held.weights.roles)
    assert formats["attn_q"].name == formats["delta_net:in_proj_ba"].name == "bf16"
    assert {"attn_k", "delta_net:in_proj_qkvz"}.isdisjoint(formats)
    shares = {fmt.name: part for part, fmt in formats["delta_net:out_proj"].parts}
    assert shares == {"bf16": Integer(1) / 3, "fp8": Integer(2) / 3}


CHANNEL = {"num_bits": 8, "type": "int", "strategy": "channel"}


def grouped(**group: Any) -> dict[str, Any]:
    said = {"config_groups": {"g": {"weights": CHANNEL, **group}}}
    return {"quant_method": "compressed-tensors", **said}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (grouped(targets=5), "'targets': must be a list"),
        (grouped(input_activations={"num_bits": [8]}), "input_activations of"),
        (grouped() | {"kv_cache_scheme": 5}, "kv_cache_scheme must be an object"),
        (grouped() | {"kv_cache_scheme": {"num_bits": [1], "type": {}}}, "kv_cache_scheme of"),
        (
            {"quant_method": "modelopt", "quant_algo": "W4A16_AWQ", "group_size": "x"},
            "'group_size' must be a whole number",
        ),
        (
            {"quant_method": "torchao", "quant_type": "int4_weight_only", "quant_type_kwargs": [1]},
            "must be an object",
        ),
        ({"quant_method": "gptq", "bits": 0, "group_size": 128}, "'bits' must be at least 1"),
        ({"quant_method": "mlx", "bits": 4, "group_size": 0}, "'group_size' must be at least 1"),
    ],
)
def test_values_that_mean_nothing_are_refused(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        stored(said)
