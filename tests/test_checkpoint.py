"""Folders with safetensors: each role has the bytes that the headers say."""

import json
from math import prod
from pathlib import Path
from typing import Any

import pytest
from sympy import Integer

import lifesym as ls

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "torch_dtype": "bfloat16",
}
SIZES = {"BF16": 2, "F32": 4, "F8_E4M3": 1, "U8": 1, "I32": 4, "F16": 2}
Tensors = dict[str, tuple[str, tuple[int, ...]]]
MATRICES = {
    "self_attn.q_proj": (256, 256),
    "self_attn.k_proj": (128, 256),
    "self_attn.v_proj": (128, 256),
    "self_attn.o_proj": (256, 256),
    "mlp.gate_proj": (512, 256),
    "mlp.up_proj": (512, 256),
    "mlp.down_proj": (256, 512),
}


def put(folder: Path, config: dict[str, Any], *files: Tensors) -> int:
    """A folder of headers without data; returns the bytes that the data would take."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    total = 0
    for number, tensors in enumerate(files):
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        start = 0
        for name, (kind, shape) in tensors.items():
            end = start + SIZES[kind] * prod(shape)
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
            start = end
        text = json.dumps(header).encode()
        (folder / f"model-{number}.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
        total += start
    return total


def ends() -> Tensors:
    return {
        "model.embed_tokens.weight": ("BF16", (1000, 256)),
        "model.norm.weight": ("BF16", (256,)),
        "lm_head.weight": ("BF16", (1000, 256)),
    }


def layers(**kinds: str) -> Tensors:
    """Matrices with a scale an output where the type has eight bits; norms in BF16."""
    found: Tensors = {}
    for layer in range(2):
        at = f"model.layers.{layer}"
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"{at}.{name}.weight"] = ("BF16", (256,))
        for name, shape in MATRICES.items():
            kind = kinds.get(name.rpartition(".")[2], "BF16")
            found[f"{at}.{name}.weight"] = (kind, shape)
            if kind == "F8_E4M3":
                found[f"{at}.{name}.weight_scale"] = ("F32", (shape[0], 1))
    return found


def test_the_bytes_are_the_headers(tmp_path: Path) -> None:
    total = put(tmp_path / "plain", CONFIG, ends(), layers())
    plain = ls.load_model(tmp_path / "plain")
    assert plain.weight_bytes() == total == 2 * plain.parameters
    assert plain.stored is not None
    assert plain.stored.source == "the safetensors files"
    mixed = layers(q_proj="F8_E4M3", down_proj="F8_E4M3")
    total = put(tmp_path / "mixed", CONFIG, ends(), mixed)
    read = ls.load_model(tmp_path / "mixed")
    assert read.weight_bytes() == total
    f = ls.forecast(read, ls.load_hardware("h100-sxm-80gb"), 9, 3)
    assert f.precision.weight_format("mlp_down").bits == 8 + Integer(32) / 512
    assert f.precision.weight_format("mlp_up").name == "bf16"
    assert f.memory.bind({}) == total + read.kv_bytes(12)


def test_a_tied_head_and_other_towers_are_not_counted_twice(tmp_path: Path) -> None:
    files = ends() | layers()
    more: Tensors = {
        "visual.blocks.0.attn.qkv.weight": ("BF16", (96, 32)),
        "model.layers.2.self_attn.q_proj.weight": ("BF16", (256, 256)),
    }
    put(tmp_path / "tied", CONFIG | {"tie_word_embeddings": True}, files | more)
    tied = ls.load_model(tmp_path / "tied")
    assert tied.weight_bytes() == 2 * tied.parameters
    assert tied.stored is not None
    assert tied.stored.source == "the safetensors files"


def test_experts_one_by_one_and_all_in_one(tmp_path: Path) -> None:
    experts = {
        **CONFIG,
        **{"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2},
        **{"moe_intermediate_size": 128, "head_dim": 64},
    }
    base = {name: value for name, value in layers().items() if ".mlp." not in name}
    for layer in range(2):
        at = f"model.layers.{layer}"
        base |= {f"{at}.self_attn.{n}_norm.weight": ("BF16", (64,)) for n in "qk"}
        base[f"{at}.mlp.gate.weight"] = ("BF16", (4, 256))
    apart, joint = dict(base), dict(base)
    for layer in range(2):
        at = f"model.layers.{layer}.mlp.experts"
        for one in range(4):
            apart |= {f"{at}.{one}.{n}_proj.weight": ("BF16", (128, 256)) for n in ("gate", "up")}
            apart[f"{at}.{one}.down_proj.weight"] = ("BF16", (256, 128))
        joint[f"{at}.gate_up_proj_blocks"] = ("U8", (4, 256, 8, 16))
        joint[f"{at}.gate_up_proj_scales"] = ("U8", (4, 256, 8))
        joint[f"{at}.down_proj_blocks"] = ("U8", (4, 256, 4, 16))
        joint[f"{at}.down_proj_scales"] = ("U8", (4, 256, 4))
    for name, tensors in (("apart", apart), ("joint", joint)):
        total = put(tmp_path / name, experts, ends() | tensors)
        read = ls.load_model(tmp_path / name)
        assert read.stored is not None
        assert read.stored.source == "the safetensors files"
        assert read.weight_bytes() == total, name


def test_tensors_that_are_not_known_leave_the_config_s_formats(tmp_path: Path) -> None:
    files = ends() | layers() | {"model.layers.0.self_attn.new.weight": ("BF16", (9, 9))}
    put(tmp_path / "unknown", CONFIG, files)
    read = ls.load_model(tmp_path / "unknown")
    assert read.stored is not None
    assert read.stored.source == "the config"
    unknown = "tensor 'model.layers.0.self_attn.new.weight' is not known"
    said = f"the safetensors files are not used ({unknown}): weights are as the config says"
    assert read.notes == (said,)
    missing = {name: value for name, value in layers().items() if "up_proj" not in name}
    put(tmp_path / "missing", CONFIG, ends() | missing)
    read = ls.load_model(tmp_path / "missing")
    assert read.stored is not None
    assert read.stored.source == "the config"


def test_parts_that_are_not_there_leave_the_config_s_formats(tmp_path: Path) -> None:
    one = {n: v for n, v in layers().items() if "layers.1" not in n}
    put(tmp_path / "half", CONFIG, ends(), one)
    put(tmp_path / "twice", CONFIG, ends() | layers(), ends() | layers())
    put(tmp_path / "index", CONFIG, ends(), layers())
    files = {"a": "model-0.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}
    index = tmp_path / "index" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": files}), encoding="utf-8")
    put(tmp_path / "pointer", CONFIG, ends(), layers())
    pointer = tmp_path / "pointer" / "model-0.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
    for name in ("half", "twice", "index", "pointer"):
        read = ls.load_model(tmp_path / name)
        assert read.stored is not None
        assert read.stored.source == "the config", name
        assert read.weight_bytes() == 2 * read.parameters
        assert any("are not used" in note for note in read.notes) == (name in ("half", "twice"))
    del files["c"]
    index.write_text(json.dumps({"weight_map": files}), encoding="utf-8")
    put_aside = tmp_path / "index" / "consolidated.safetensors"
    put_aside.write_bytes((tmp_path / "index" / "model-1.safetensors").read_bytes())
    read = ls.load_model(tmp_path / "index")
    assert read.stored is not None
    assert read.stored.source == "the safetensors files"


def test_types_that_the_config_does_not_say_have_the_files_names(tmp_path: Path) -> None:
    eight = dict.fromkeys((n.rpartition(".")[2] for n in MATRICES), "F8_E4M3")
    total = put(tmp_path / "fp8", CONFIG, ends() | layers(**eight))
    read = ls.load_model(tmp_path / "fp8")
    assert read.weight_bytes() == total
    precision = ls.forecast(read, "h100-sxm-80gb", 9, 3).precision
    assert (precision.weights.name, precision.activations.name) == ("fp8", "bf16")
    assert not precision.weight_format("attn_q").native  # it is dequantized
    assert precision.weight_format("lm_head").name == "bf16"
    assert precision.origins["weights"] == "from the safetensors files"
    assert precision.origins["activations"] == "from the config"


def test_an_index_without_its_files_is_compared(tmp_path: Path) -> None:
    put(tmp_path / "m", CONFIG)
    right = ls.load_model(tmp_path / "m").weight_bytes()
    for size, noted in ((int(right), False), (int(right) + 8, False), (int(right) // 2, True)):
        index = {"metadata": {"total_size": size}, "weight_map": {"a": "x.safetensors"}}
        (tmp_path / "m" / "model.safetensors.index.json").write_text(json.dumps(index))
        notes = ls.load_model(tmp_path / "m").notes
        assert bool(notes) == noted
        assert all("index.json says" in note for note in notes)


DAMAGED = [
    *(b"", b"\x05", b"\xff" * 20, (9).to_bytes(8, "little") + b'{"a": 1}]'),
    *(b"\x02" + b"\0" * 7 + b"[]", b"\x07" + b"\0" * 7 + b'{"a":1}'),
]


@pytest.mark.parametrize("data", DAMAGED)
def test_damaged_headers(data: bytes, tmp_path: Path) -> None:
    put(tmp_path / "m", CONFIG)
    (tmp_path / "m" / "model.safetensors").write_bytes(data)
    with pytest.raises(ls.SpecError, match=r"model\.safetensors: a damaged safetensors header"):
        ls.load_model(tmp_path / "m")
