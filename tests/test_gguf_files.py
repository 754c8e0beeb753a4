"""GGUF files as models: headers written by the ``gguf`` package, without any weights."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine
from sympy import Add, Integer

import lifesym as ls
from lifesym.formats import Format, load_format
from lifesym.gguf_header import KINDS
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
    "mlp_norm": "ffn_norm",
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
    numbers = count()
    for entry in model.whole.entries:
        layers = int(entry.copies)
        for matrix in entry.operator.matrices:
            key = f"{matrix.role}_{matrix.part}" if matrix.part else matrix.role
            shape = (int(matrix.rows), int(matrix.columns))
            if key == "vector":
                kind = "weight" if entry.operator.family == "norm" else "bias"
                stem = NAMES.get(entry.name, entry.name)
                for layer in range(layers):
                    name = f"blk.{layer}.{next(numbers)}.{stem}.{kind}"
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
                many, first = int(matrix.count), started.get(key, 0)
                kinds = _kinds(formats[key], int(_layers(model, key)))
                for layer in range(first, first + layers):
                    name = f"blk.{layer}.{NAMES[key]}.weight"
                    yield name, (many, *shape) if many > 1 else shape, kinds[layer]
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
    "exaone-4.0-32b": (
        *("exaone4", "q4_k_m"),
        {"head": 40, "kv": 8, "attention.sliding_window": 4096},
    ),
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
    read = ls.load_model(path)
    known = replace(ls.load_model(name), towers=())  # a file of its own (mmproj) has these
    assert read.weight_bytes() == total
    assert read.parameters == known.parameters
    assert read.forward(1, 7, 3).cost().matmul_flops == known.forward(1, 7, 3).cost().matmul_flops
    assert read.kv_bytes_per_token() == known.kv_bytes_per_token()
    assert read.name == name
    by_mix = known.weight_bytes(FILES[name][1])
    assert float(abs(by_mix - total)) <= 1e-3 * total


def test_a_forecast_says_that_the_formats_are_the_file_s(run: CommandLine, tmp_path: Path) -> None:
    path, total = written(tmp_path, "qwen2.5-0.5b")
    shown = run(
        "forecast", str(path), *["--on", "rtx-4090", "--prompt", "99", "--generate", "9"]
    ).stdout
    assert "qwen2.5-0.5b on NVIDIA" in shown
    assert "q5_0 mix weights (from qwen2.5-0.5b.gguf)" in shown
    counted = run("count", str(path), "--json").stdout
    assert '"parameters": 494032768' in counted
    f = ls.forecast(ls.load_model(path), ls.load_hardware("rtx-4090"), 99, 9)
    cache = f.model.kv_bytes(108, "fp16")
    assert f.memory.bind({}) == total + cache
    as_asked = ls.forecast(ls.load_model(path), ls.load_hardware("rtx-4090"), 9, 9, weights="q8_0")
    assert as_asked.precision.weight_format("mlp_up").name == "q8_0"


SMALL: dict[str, Any] = {
    "block_count": 2,
    "embedding_length": 256,
    "feed_forward_length": 512,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
}
TENSORS: list[Info] = [
    ("token_embd.weight", (1000, 256), "q6_k"),
    ("output_norm.weight", (256,), "fp32"),
    *(
        (f"blk.{layer}.{name}.weight", shape, kind)
        for layer in range(2)
        for name, shape, kind in (
            ("attn_norm", (256,), "fp32"),
            ("attn_q", (256, 256), "q4_k"),
            ("attn_k", (128, 256), "q4_k"),
            ("attn_v", (128, 256), "q6_k"),
            ("attn_output", (256, 256), "q4_k"),
            ("ffn_norm", (256,), "fp32"),
            ("ffn_gate", (512, 256), "q4_k"),
            ("ffn_up", (512, 256), "q4_k"),
            ("ffn_down", (256, 512), "q5_k"),
        )
    ),
]


def test_a_model_in_several_files(tmp_path: Path) -> None:
    whole = write(tmp_path / "m.gguf", "llama", SMALL, TENSORS)
    parts = [tmp_path / f"m-0000{part}-of-00002.gguf" for part in (1, 2)]
    write(parts[0], "llama", SMALL, TENSORS[:7])
    with pytest.raises(ls.SpecError, match=r"its part m-00002-of-00002\.gguf is not"):
        ls.load_model(parts[0])
    write(parts[1], "llama", {}, TENSORS[7:])
    assert ls.load_model(parts[0]).weight_bytes() == whole
    with pytest.raises(ls.SpecError, match=r"part 2 of a model: give its first, m-00001-of-0"):
        ls.load_model(parts[1])


def test_tensors_that_are_no_weights_lie_in_memory_too(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    more = [
        *TENSORS,
        ("rope_freqs.weight", (32,), "fp32"),
        ("blk.7.attn_q.weight", (9, 256), "q8_0"),
    ]
    write(path, "llama", SMALL, more)
    plain = write(tmp_path / "plain.gguf", "llama", SMALL, TENSORS)
    assert ls.load_model(path).weight_bytes() == plain + 4 * 32  # layer 7 is not run


def _changed(name: str, shape: tuple[int, ...], kind: str) -> list[Info]:
    return [*(t for t in TENSORS if t[0] != name), (name, shape, kind)]


@pytest.mark.parametrize(
    ("arch", "keys", "tensors", "message"),
    [
        ("rwkv7", SMALL, TENSORS, "GGUF of architecture 'rwkv7' is not read"),
        ("clip", SMALL, TENSORS, "the vision tower of a model"),
        ("llama", SMALL, TENSORS[1:], "holds no tensor 'token_embd.weight'"),
        ("llama", {"block_count": 2}, TENSORS, "missing key 'llama.embedding_length'"),
        (
            "llama",
            SMALL,
            TENSORS[:-1],
            "role 'mlp_down' hold 131072 values, where llama has 262144",
        ),
        (
            *("llama", SMALL | {"attention.head_count_kv": [2, 1]}, TENSORS),
            "differs by layer, which is not read from GGUF",
        ),
        (
            *("llama", SMALL, [*TENSORS, ("blk.0.extra.weight", (64, 256), "q4_k")]),
            "tensor 'blk.0.extra.weight' .* is not modelled",
        ),
        (
            *("llama", SMALL, _changed("blk.1.attn_k.weight", (256, 256), "q4_k")),
            "role 'attn_k' hold 98304 values, where llama has 65536",
        ),
    ],
)
def test_files_that_are_not_modelled(
    arch: str, keys: dict[str, Any], tensors: list[Info], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.gguf"
    write(path, arch, keys, tensors)
    with pytest.raises(ls.SpecError, match=message) as caught:
        ls.load_model(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_damaged_headers(run: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write(path, "llama", SMALL, TENSORS)
    data = path.read_bytes()
    for end in (5, 20, 100, len(data) // 2, len(data) - 9):
        path.write_bytes(data[:end])
        with pytest.raises(ls.SpecError, match="ends inside its GGUF header"):
            ls.load_model(path)
    for changed, message in (
        (data[:4] + b"\x09\0\0\0" + data[8:], "version 9 of GGUF is not known"),
        (data[:8] + b"\xff" * 8 + data[16:], "the header is damaged"),
        (data[:4] + b"\x03\0\0\0" + b"\0" * 16, "GGUF of architecture '' is not read"),
    ):
        path.write_bytes(changed)
        result = run("count", str(path))
        assert result.returncode == 2
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_every_type_has_the_size_that_the_package_gives_it() -> None:
    for number, name in KINDS.items():
        block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(number)]
        assert load_format(name).bits_per_value * block == 8 * size, name
