"""GGUF files as models: headers written by the ``gguf`` package, without any weights."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine
from sympy import Add, Integer

import lifesym as ls
from lifesym.formats import Format
from lifesym.gguf_header import KINDS, read_header
from lifesym.gguf_mixes import resolve

gguf = pytest.importorskip("gguf")

NUMBERS = {name: number for number, name in KINDS.items()}
Info = tuple[str, tuple[int, ...], str]
"""Name, shape (the length of a row last, as in NumPy) and type of a tensor."""


def write(path: Path, arch: str, keys: dict[str, Any], tensors: list[Info]) -> int:
    """A file's header; returns the bytes that its tensors' data would take."""
    writer = gguf.GGUFWriter(path, arch)
    for key, value in keys.items():
        name = f"{arch}.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_uint32(name, value)
    writer.add_array("tokenizer.ggml.tokens", [f"token {i}" for i in range(5000)])
    writer.add_array("tokenizer.ggml.scores", [0.5] * 5000)
    total = 0
    for name, shape, kind in tensors:
        number = gguf.GGMLQuantizationType(NUMBERS[kind])
        block, size = gguf.GGML_QUANT_SIZES[number]
        assert shape[-1] % block == 0
        bytes_ = prod(shape) // block * size
        writer.add_tensor_info(name, shape, np.dtype(np.float32), bytes_, number)
        total += bytes_
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return total


KEYS = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "intermediate_size": "feed_forward_length",
}
NAMES = {
    "attn_q": "attn_q",
    "attn_k": "attn_k",
    "attn_v": "attn_v",
    "attn_o": "attn_output",
    "attn_qkv_fused": "attn_qkv",
    "attn_q_a": "attn_q_a",
    "attn_q_b": "attn_q_b",
    "attn_kv_a": "attn_kv_a_mqa",
    "mlp_gate": "ffn_gate",
    "mlp_up": "ffn_up",
    "mlp_gate_up_fused": "ffn_up",
    "mlp_down": "ffn_down",
    "router": "ffn_gate_inp",
    "experts_gate": "ffn_gate_exps",
    "experts_up": "ffn_up_exps",
    "experts_down": "ffn_down_exps",
    "moe_shared": "ffn_gate_inp_shexp",
    "moe_shared_gate": "ffn_gate_shexp",
    "moe_shared_up": "ffn_up_shexp",
    "moe_shared_down": "ffn_down_shexp",
    "mamba_mixer:in_proj": "ssm_in",
    "mamba_mixer:x_proj": "ssm_x",
    "mamba_mixer:dt_proj": "ssm_dt",
    "mamba_mixer:out_proj": "ssm_out",
    "delta_net:in_proj_qkv": "attn_qkv",
    "delta_net:in_proj_z": "attn_gate",
    "delta_net:in_proj_qkvz": "ssm_in",
    "delta_net:in_proj_ba": "ssm_ba",
    "delta_net:in_proj_a": "ssm_alpha",
    "delta_net:in_proj_b": "ssm_beta",
    "delta_net:out_proj": "ssm_out",
}
"""Tensors of roles, as llama.cpp spells them."""


def _kinds(fmt: Format, layers: int) -> list[str]:
    """The type of each layer's tensor, for the shares of a role."""
    if not fmt.parts:
        return [fmt.name] * layers
    kinds = [part.name for share, part in fmt.parts for _ in range(int(share * layers))]
    assert len(kinds) == layers
    return kinds


def tensors_of(model: ls.Model, mix: str) -> Iterator[Info]:
    """The tensors of a file of that mix, from the shapes of the model's operators."""
    formats = dict(resolve(mix, model).roles)
    ends = {"embedding": "token_embd", "tied_embedding": "token_embd", "lm_head": "output"}
    ends |= {"positions": "position_embd"}
    started: dict[str, int] = {}
    for entry in model.whole.entries:
        layers = int(entry.copies)
        for number, matrix in enumerate(entry.operator.matrices):
            key = f"{matrix.role}_{matrix.part}" if matrix.part else matrix.role
            shape = (int(matrix.rows), int(matrix.columns))
            if key == "vector":
                for layer in range(layers):
                    kind = "weight" if entry.operator.family == "norm" else "bias"
                    stem = NAMES.get(entry.name, entry.name)
                    name = f"blk.{layer}.{entry.section}.{number}.{stem}.{kind}"
                    yield name, (shape[0] * shape[1] * int(matrix.count),), "fp32"
            elif key in ends:
                yield f"{ends[key]}.weight", shape, _kinds(formats[key], 1)[0]
            elif key == "attn_kv_b":
                part = "k" if matrix.rows == model.values[ls.symbols.kv_rank] else "v"
                first = started.get(part, 0)
                for layer in range(first, first + layers):
                    kind = "q5_0" if shape[1] % 256 else "q4_k"
                    name = f"blk.{layer}.attn_{part}_b.weight"
                    yield name, (int(matrix.count), *shape), kind
                started[part] = first + layers
            else:
                count, first = int(matrix.count), started.get(key, 0)
                kinds = _kinds(formats[key], int(_layers(model, key)))
                for layer in range(first, first + layers):
                    name = f"blk.{layer}.{NAMES[key]}.weight"
                    yield name, (count, *shape) if count > 1 else shape, kinds[layer]
                started[key] = first + layers


def _layers(model: ls.Model, key: str) -> Integer:
    return Add(
        *(
            entry.copies
            for entry in model.whole.entries
            for m in entry.operator.matrices
            if key == (f"{m.role}_{m.part}" if m.part else m.role)
        )
    )


FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama-3.1-8b": ("llama", "q4_k_m", {"head": 32, "kv": 8}),
    "llama-2-7b": ("llama", "gguf-q8_0", {"head": 32, "kv": 32}),
    "llama-3.2-1b": ("llama", "q5_k_m", {"head": 32, "kv": 8}),
    "mixtral-8x7b": ("llama", "q4_k_m", {"head": 32, "kv": 8}),
    "qwen2.5-0.5b": ("qwen2", "q4_k_m", {"head": 14, "kv": 2}),
    "qwen3-8b": ("qwen3", "gguf-q6_k", {"head": 32, "kv": 8, "attention.key_length": 128}),
    "qwen3-30b-a3b": ("qwen3moe", "q4_k_m", {"head": 32, "kv": 4, "attention.key_length": 128}),
    "gemma-2-2b": (
        *("gemma2", "q4_k_m"),
        {"head": 8, "kv": 4, "attention.key_length": 256, "attention.sliding_window": 4096},
    ),
    "phi-3-mini-4k": (
        *("phi3", "q4_k_m"),
        {"head": 32, "kv": 32, "attention.sliding_window": 2047},
    ),
    "gpt2": ("gpt2", "gguf-q8_0", {"head": 12, "kv": 12}),
    "starcoder2-3b": ("starcoder2", "q4_k_s", {"head": 24, "kv": 2}),
    "falcon-7b": ("falcon", "gguf-q4_0", {"head": 71, "kv": 1}),
    "gpt-oss-20b": (
        *("gpt-oss", "mxfp4_moe"),
        {"head": 64, "kv": 8, "attention.key_length": 64, "attention.sliding_window": 128},
    ),
    "deepseek-v2-lite": (
        *("deepseek2", "q4_k_m"),
        {
            **{"head": 16, "kv": 16, "rope.dimension_count": 64, "attention.kv_lora_rank": 512},
            **{"attention.key_length": 192, "attention.value_length": 128},
            **{"leading_dense_block_count": 1, "expert_shared_count": 2},
        },
    ),
    "olmoe-1b-7b": ("olmoe", "q4_k_m", {"head": 16, "kv": 16}),
    "qwen1.5-moe-a2.7b": ("qwen2moe", "q4_k_m", {"head": 16, "kv": 16}),
    "phi-2": ("phi2", "q4_k_m", {"head": 32, "kv": 32, "rope.dimension_count": 32}),
    "pythia-1.4b": ("gptneox", "gguf-q8_0", {"head": 16, "kv": 16, "rope.dimension_count": 32}),
    "granite-3.1-8b": ("granite", "q4_k_m", {"head": 32, "kv": 8}),
    "granite-3.1-3b-a800m": ("granitemoe", "q4_k_m", {"head": 24, "kv": 8}),
    "olmo-2-1b": ("olmo2", "q4_k_m", {"head": 16, "kv": 16}),
    "olmo-7b": ("olmo", "q4_k_m", {"head": 32, "kv": 32}),
    "stablelm-3b": ("stablelm", "q4_k_m", {"head": 32, "kv": 32, "rope.dimension_count": 20}),
    "command-r": ("command-r", "q4_k_m", {"head": 64, "kv": 64}),
    "command-a": ("cohere2", "q4_k_m", {"head": 96, "kv": 8, "attention.sliding_window": 4096}),
    "nemotron-4-4b": ("nemotron", "q4_k_m", {"head": 24, "kv": 8, "rope.dimension_count": 64}),
    "smollm3-3b": ("smollm3", "q4_k_m", {"head": 16, "kv": 4}),
    "seed-oss-36b": ("seed_oss", "q4_k_m", {"head": 80, "kv": 8, "attention.key_length": 128}),
    "hunyuan-7b": ("hunyuan-dense", "q4_k_m", {"head": 32, "kv": 8}),
    "ernie-4.5-0.3b": ("ernie4_5", "q4_k_m", {"head": 16, "kv": 2, "attention.key_length": 128}),
    "bloom-560m": ("bloom", "gguf-q8_0", {"head": 16, "kv": 16}),
    "gemma-3-1b": (
        *("gemma3", "gguf-q4_0"),
        {"head": 4, "kv": 1, "attention.key_length": 256, "attention.sliding_window": 512},
    ),
    "gemma-2b": ("gemma", "q4_k_m", {"head": 8, "kv": 1, "attention.key_length": 256}),
    "exaone-4.0-32b": ("exaone4", "q4_k_m", {"head": 40, "kv": 8, "attention.sliding_window": 4096}),
    "minimax-m2.7": (
        *("minimax-m2", "q4_k_m"),
        {"head": 48, "kv": 8, "attention.key_length": 128, "rope.dimension_count": 64},
    ),
    "glm-4.5": (
        *("glm4moe", "q4_k_m"),
        {
            **{"head": 96, "kv": 8, "attention.key_length": 128, "rope.dimension_count": 64},
            **{"leading_dense_block_count": 3, "expert_shared_count": 1},
        },
    ),
    "ernie-4.5-21b-a3b": (
        *("ernie4_5-moe", "q4_k_m"),
        {"head": 20, "kv": 4, "leading_dense_block_count": 1, "expert_shared_count": 2},
    ),
    "deepseek-v3": (
        *("deepseek2", "q4_k_m"),
        {
            **{"head": 128, "kv": 1, "rope.dimension_count": 64, "attention.kv_lora_rank": 512},
            **{"attention.key_length": 576, "attention.value_length": 512},
            **{"attention.key_length_mla": 192, "attention.value_length_mla": 128},
            **{"leading_dense_block_count": 3, "expert_shared_count": 1, "expert_gating_func": 2},
            **{"attention.q_lora_rank": 1536},
        },
    ),
    "qwen3-next-80b-a3b": (
        *("qwen3next", "q4_k_m"),
        {
            **{"head": 16, "kv": 2, "attention.key_length": 256, "rope.dimension_count": 64},
            **{"ssm.state_size": 128, "ssm.group_count": 16, "ssm.time_step_rank": 32},
            **{"ssm.inner_size": 4096, "ssm.conv_kernel": 4},
        },
    ),
    "qwen3.5-27b": (
        *("qwen35", "q4_k_m"),
        {
            **{"head": 24, "kv": 4, "attention.key_length": 256, "rope.dimension_count": 64},
            **{"ssm.state_size": 128, "ssm.group_count": 16, "ssm.time_step_rank": 48},
            **{"ssm.inner_size": 6144, "ssm.conv_kernel": 4},
        },
    ),
    "mamba-2.8b": (
        *("mamba", "gguf-q8_0"),
        {
            **{"head": 0, "kv": 0, "ssm.state_size": 16, "ssm.inner_size": 5120},
            **{"ssm.conv_kernel": 4, "ssm.time_step_rank": 160},
        },
    ),
}
"""Models of the database as files: the architecture, the mix and keys besides the sizes."""


def written(folder: Path, name: str) -> tuple[Path, int]:
    arch, mix, more = FILES[name]
    model = ls.load_model(name)
    sizes = {symbol.name: int(value) for symbol, value in model.values.items()}
    wide = sizes.get("intermediate", sizes.get("expert_intermediate", 0))
    keys = {
        "block_count": sizes["layers"],
        "embedding_length": sizes["hidden"],
        "feed_forward_length": wide,
        "attention.head_count": more["head"],
        "attention.head_count_kv": more["kv"],
    }
    keys |= {key: value for key, value in more.items() if "." in key or "_" in key}
    if "experts" in sizes:
        keys |= {"expert_count": sizes["experts"], "expert_used_count": sizes["active_experts"]}
        keys["expert_feed_forward_length"] = sizes["expert_intermediate"]
    path = folder / f"{name}.gguf"
    return path, write(path, arch, keys, list(tensors_of(model, mix)))


@pytest.mark.parametrize("name", FILES)
def test_weight_bytes_are_the_file_s_tensor_data(name: str, tmp_path: Path) -> None:
    path, total = written(tmp_path, name)
    read, known = ls.load_model(path), ls.load_model(name)
    assert read.weight_bytes() == total
    assert read.parameters == known.parameters
    assert read.forward(1, 7, 3).cost().matmul_flops == known.forward(1, 7, 3).cost().matmul_flops
    assert read.kv_bytes_per_token() == known.kv_bytes_per_token()
    assert read.name == name
    by_mix = known.weight_bytes(FILES[name][1])
    assert float(abs(by_mix - total)) <= 1e-3 * total
