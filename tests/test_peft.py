"""Adapters as PEFT's files say them."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym.peft import read_adapter
from lifesym.transforms import Lora

CONFIG = {
    "peft_type": "LORA",
    "base_model_name_or_path": "meta-llama/Llama-3.1-8B",
    "r": 16,
    "lora_alpha": 32,
    "bias": "none",
    "use_dora": False,
    "rank_pattern": {},
    "modules_to_save": None,
    "target_modules": ["q_proj", "v_proj", "down_proj"],
}
"""As PEFT's ``save_pretrained`` writes it."""


def put(folder: Path, **changes: Any) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(CONFIG | changes), encoding="utf-8")
    return path


def test_rank_and_targets_are_the_file_s(tmp_path: Path) -> None:
    model = ls.load_model("llama-3.1-8b")
    path = put(tmp_path)
    read = read_adapter(path, model)
    assert read == Lora(rank=16, targets=("attn_q", "attn_v", "mlp_down"))
    assert read_adapter(tmp_path, model) == read
    adapted = read(model.forward(1, 1, 9))
    roles = adapted.weight_roles()
    # A and B of q (4096, 4096), v (4096, 1024) and down (14336, 4096) in 32 layers
    assert roles["adapter"] == 32 * 16 * (2 * 4096 + 4096 + 1024 + 14336 + 4096)


def test_all_linear_layers(tmp_path: Path) -> None:
    path = put(tmp_path, target_modules="all-linear", base_model_name_or_path=None)
    read = read_adapter(path, ls.load_model("phi-3-mini-4k"))
    assert read.targets == ("attn_o", "attn_qkv_fused", "mlp_down", "mlp_gate_up_fused")


def test_the_command_takes_a_rank_or_a_file(run: CommandLine, tmp_path: Path) -> None:
    path = put(tmp_path, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
    options = [
        "llama-3.1-8b",
        "--on",
        "h100-sxm-80gb",
        "--prompt",
        "9",
        "--generate",
        "2",
        "--json",
    ]
    by_file = json.loads(run("forecast", *options, "--lora", str(path)).stdout)
    by_rank = json.loads(run("forecast", *options, "--lora", "16").stdout)
    assert by_file["tpot_s"] == by_rank["tpot_s"]
    for wrong, message in (("-3", "--lora"), ("x.json", "x.json: no such file: give a rank")):
        result = run("forecast", *options, "--lora", wrong)
        assert result.returncode == 2
        assert message in result.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "key 'peft_type': 'PREFIX_TUNING' is not 'LORA'"),
        ({"r": 0}, "key 'r': a rank of at least 1, not 0"),
        ({"use_dora": True}, "key 'use_dora': True is not modelled"),
        ({"rank_pattern": {"q_proj": 8}}, "key 'rank_pattern'"),
        ({"modules_to_save": ["lm_head"]}, "key 'modules_to_save'"),
        ({"target_modules": ".*q_proj"}, "a list of modules or 'all-linear'"),
        ({"target_modules": ["q_projx"]}, "'q_projx' is not modelled; did you mean 'q_proj'"),
        ({"target_modules": ["qkv_proj"]}, "'qkv_proj' is no projection of this model"),
        (
            {"base_model_name_or_path": "meta-llama/Llama-3.1-70B"},
            r"adapters of meta-llama/Llama-3\.1-70B \(llama-3\.1-70b\), not of llama-3\.1-8b",
        ),
    ],
)
def test_adapters_that_are_not_modelled(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = put(tmp_path, **changes)
    with pytest.raises(ls.SpecError, match=message) as caught:
        read_adapter(path, ls.load_model("llama-3.1-8b"))
    assert str(caught.value).startswith(str(path))
