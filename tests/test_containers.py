"""What a model may be given as, and what else is refused by its name."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine

import lifesym as ls
from lifesym.containers import hub_names
from lifesym.specs import names, root

CONFIG = json.loads((root() / "models" / "llama-3.2-1b.json").read_text(encoding="utf-8"))
PARAMETERS = 1_235_814_400


def put(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_a_folder_is_its_config(run: CommandLine, tmp_path: Path) -> None:
    put(tmp_path / "my-llama" / "config.json", CONFIG)
    model = ls.load_model(tmp_path / "my-llama")
    assert (model.name, model.parameters) == ("my-llama", PARAMETERS)
    assert ls.Model.from_hf(str(tmp_path / "my-llama")).parameters == PARAMETERS
    assert "my-llama" in run("count", str(tmp_path / "my-llama")).stdout


def test_a_quantization_beside_the_config_counts(tmp_path: Path) -> None:
    """NVIDIA's checkpoints: hf_quant_config.json says what config.json need not."""
    said = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}
    put(tmp_path / "fp8" / "config.json", CONFIG)
    put(tmp_path / "fp8" / "hf_quant_config.json", said)
    put(tmp_path / "inside" / "config.json", CONFIG | {"quantization_config": said})
    beside, inside = (ls.load_model(tmp_path / name) for name in ("fp8", "inside"))
    assert beside.stored is not None
    assert beside.weight_bytes() == inside.weight_bytes() < 2 * PARAMETERS
    file = ls.load_model(tmp_path / "fp8" / "config.json")  # the file alone has the same beside it
    assert file.stored == beside.stored
    origins = ls.forecast(file, "h200-sxm", 8, 2).precision.origins
    assert origins["weights"] == "from hf_quant_config.json"
    assert origins["activations"] != origins["weights"]
    put(tmp_path / "fp8" / "hf_quant_config.json", {"quantization": {"quant_algo": "W3A5"}})
    with pytest.raises(ls.errors.SpecError, match=r"hf_quant_config\.json: quant_algo 'W3A5'"):
        ls.load_model(tmp_path / "fp8" / "config.json")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = put(tmp_path / "config.json", "\ufeff" + json.dumps(CONFIG))
    assert ls.load_model(path).parameters == PARAMETERS


@pytest.mark.parametrize(
    "given",
    [
        "meta-llama/Llama-3.2-1B",
        "META-LLAMA/llama-3.2-1b",
        "https://huggingface.co/meta-llama/Llama-3.2-1B",
        "https://huggingface.co/meta-llama/Llama-3.2-1B/blob/main/config.json",
        "hf.co/meta-llama/Llama-3.2-1B?library=transformers",
    ],
)
def test_a_hub_id_is_found_by_the_source(given: str) -> None:
    assert ls.load_model(given).name == "llama-3.2-1b"


def test_every_hub_id_means_one_model() -> None:
    assert set(hub_names().values()) <= set(names("models"))
    assert len(hub_names()) > 130
    assert hub_names()["qwen/qwen3-30b-a3b"] == "qwen3-30b-a3b"
    assert hub_names()["deepseek-ai/deepseek-v3"] == "deepseek-v3"


def test_a_config_object_is_what_it_writes() -> None:
    class Config:
        def to_dict(self) -> dict[str, Any]:
            return CONFIG

    assert ls.Model.from_hf(Config()).parameters == PARAMETERS  # type: ignore[arg-type]
    with pytest.raises(ls.SpecError, match="a config is a dict or a path, not int"):
        ls.Model.from_hf(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("Llama-31-8B", "unknown model 'Llama-31-8B'; did you mean 'llama-3.1-8b'?"),
        ("Qwen2.5-7B-Instruct", "did you mean 'qwen2.5-7b'?"),
        (
            "Qwen/Qwen2.5-7B-Instruct-GGUF",
            "no such file; as a Hub id: give its config.json; did you mean 'qwen2.5-7b'?",
        ),
        ("nobody/some-model.json", "nobody/some-model.json: no such file"),
        ("models/missing", "models/missing: no such file; as a Hub id: give its config.json"),
    ],
)
def test_names_that_are_not_found(given: str, hint: str) -> None:
    with pytest.raises(ls.SpecError) as caught:
        ls.load_model(given)
    assert hint in str(caught.value)


OTHERS: dict[str, tuple[Any, str]] = {
    "generation_config.json": (
        {"do_sample": True, "temperature": 0.6, "eos_token_id": 2},
        "this is a generation config",
    ),
    "tokenizer_config.json": (
        {"tokenizer_class": "LlamaTokenizer", "chat_template": "{{ x }}"},
        "this is the config of a tokenizer",
    ),
    "tokenizer.json": ({"version": "1.0", "added_tokens": [], "model": {}}, "this is a tokenizer"),
    "hf_quant_config.json": (
        {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}},
        "this is a quantization alone",
    ),
    "quantize_config.json": ({"bits": 4, "group_size": 128}, "this is a quantization alone"),
    "model.safetensors.index.json": (
        {"metadata": {"total_size": 9}, "weight_map": {}},
        "this is the index of weight files",
    ),
    "training_args.json": (
        {"learning_rate": 1e-4, "per_device_train_batch_size": 4},
        "this is training arguments",
    ),
    "ds_config.json": ({"zero_optimization": {"stage": 3}}, "this is a training config"),
    "params.json": (
        {"dim": 4096, "n_layers": 32, "n_heads": 32, "vocab_size": -1},
        "this is a params.json",
    ),
    "configuration.json": (
        {"framework": "pytorch", "task": "text-generation"},
        "this is ModelScope's configuration",
    ),
    "preprocessor_config.json": (
        {"image_processor_type": "CLIPImageProcessor"},
        "this is the config of a preprocessor",
    ),
    "config.json": (
        {"num_experts": 32, "experts_per_token": 4, "hidden_size": 2880},
        "this is the config of OpenAI's own code",
    ),
    "a.json": ({"architectures": ["LlamaForCausalLM"]}, "beside 'architectures'"),
    "b.json": ({"hello": 1}, "missing key 'model_type'"),
    "lfs.json": (
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "a Git LFS pointer, not the file itself",
    ),
    "model.safetensors": ("xxxxxxxx{}", "weights alone: give the folder, or its config.json"),
    "adapter_config.json": (
        {"peft_type": "LORA", "base_model_name_or_path": "meta-llama/Llama-3.1-8B", "r": 16},
        "an adapter of meta-llama/Llama-3.1-8B (llama-3.1-8b in the database): give that model,"
        " and this file with --lora",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_called_by_their_name(name: str, run: CommandLine, tmp_path: Path) -> None:
    data, words = OTHERS[name]
    path = put(tmp_path / name, data)
    result = run("count", str(path))
    assert result.returncode == 2
    assert f"error: {path}: " in result.stderr
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    put(tmp_path / "adapter" / "adapter_config.json", OTHERS["adapter_config.json"][0])
    with pytest.raises(ls.SpecError, match=r"an adapter of meta-llama/Llama-3\.1-8B"):
        ls.load_model(tmp_path / "adapter")
    put(tmp_path / "other" / "readme.md", "hello")
    with pytest.raises(ls.SpecError, match=r"without config\.json \(it has readme\.md\)"):
        ls.load_model(tmp_path / "other")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ls.SpecError, match="it has no files"):
        ls.load_model(tmp_path / "empty")
    for name in ("a-q4.gguf", "a-q8.gguf", "mmproj-a.gguf"):
        put(tmp_path / "two" / name, "GGUF")
    with pytest.raises(ls.SpecError, match=r"several GGUF files: give one of a-q4.gguf, a-q8.gguf"):
        ls.load_model(tmp_path / "two")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b-v0.3"),
        ("RedHatAI/Qwen3-14B-FP8-dynamic", "qwen3-14b"),
        # another size, version or kind: no name of the database has their arithmetic
        *((name, "") for name in ("foo/bar", "microsoft/phi-4", "google/gemma-3-12b-it")),
        ("meta-llama/Llama-3.2-11B-Vision-GGUF", "llama-3.2-11b-vision"),
        *((name, "") for name in ("meta-llama/Llama-3.2-3B-Vision", "deepseek-ai/DeepSeek-V3.3")),
    ],
)
def test_a_hub_id_has_a_hint_to_the_same_arithmetic_alone(asked: str, hint: str) -> None:
    with pytest.raises(ls.errors.SpecError) as caught:
        ls.load_model(asked)
    assert str(caught.value).partition("did you mean ")[2] == (f"'{hint}'?" if hint else "")


def test_a_count_and_an_export_take_the_types_of_the_files(
    run: CommandLine, tmp_path: Path
) -> None:
    said = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    path = put(tmp_path / "m" / "config.json", CONFIG | {"torch_dtype": "float16"})
    put(tmp_path / "m" / "hf_quant_config.json", said)
    model = ls.load_model(path)
    counted = " ".join(run("count", str(path)).stdout.split())
    assert "fp16 activations (from the config), fp8 KV (from hf_quant_config.json)" in counted
    totals = json.loads(run("count", str(path), "--json").stdout)
    assert totals["kv_bytes_per_token"] == model.kv_bytes_per_token("fp8")
    exported = run(
        *("export", str(path), "--on", "h200-sxm", "--metric", "memory"),
        *("--args", "batch", "--prompt", "8", "--generate", "2"),
    )
    assert "fp8 weights (from hf_quant_config.json)" in exported.stderr
