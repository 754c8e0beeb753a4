"""Counting what real model code does: transformers models under torch's FlopCounterMode."""

from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any

import torch
import torch.utils.checkpoint
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

torch.set_num_threads(1)  # the products are tiny: threads only wait for each other

ROTARY = "rotary_emb"
"""Modules whose small product of frequencies and positions is not counted as a matrix product."""


RECURRENT = "recurrent_states"
"""What a module of RecurrentGemma calls its state."""
TOWERS = ("embed_tokens_extend", "image_encoder", "visual_projection")
"""Modules of images and speech inside a model that is called a language model."""


def _bare(config: type) -> Any:
    """The model without a head that has this class of config."""
    module = import_module(config.__module__.replace("configuration_", "modeling_"))
    return next(
        each
        for name, each in vars(module).items()
        if isinstance(each, type)
        and issubclass(each, PreTrainedModel)
        and each.config_class is config
        and name.endswith("Model")
        and "PreTrained" not in name
    )


MASKED = ("deepseek_v32", "deepseek_v4", "glm_moe_dsa", "minimax_m3_vl_text")
"""Types whose code computes the scores of all keys and masks those that are not chosen."""


STATES = (
    *("conv_states", "recurrent_states"),
    *("compressed_kv", "buffer_kv", "buffer_gate", "overlap_kv", "overlap_gate"),
)
"""What layers keep besides keys and values, each in a dict."""


@dataclass(frozen=True)
class Pass:
    """One forward pass: the shape that `lifesym.Model.forward` takes."""

    batch: int
    new: int
    past: int
    logits: str


PASSES = (
    Pass(1, 9, 0, "all"),
    Pass(2, 25, 0, "last"),
    Pass(1, 1, 4, "last"),
    Pass(3, 1, 24, "last"),
    Pass(1, 6, 10, "last"),
    Pass(2, 5, 3, "none"),
)


class RealModel:
    """A causal language model with random weights, in float32 on the CPU.

    The text models of multimodal types have no class with a head: theirs is added up here.
    """

    def __init__(self, config: dict[str, Any], **attributes: Any) -> None:
        settings = {key: value for key, value in config.items() if key != "model_type"}
        parsed = AutoConfig.for_model(config["model_type"], **settings)
        parsed._attn_implementation = "eager"
        parsed._experts_implementation = "eager"  # the grouped kernel is not counted
        for name, value in attributes.items():
            setattr(parsed, name, value)
        torch.manual_seed(0)
        self.config = parsed
        self.text = parsed.get_text_config()
        self.bare = config["model_type"] not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        auto = _bare(type(parsed))._from_config if self.bare else AutoModelForCausalLM.from_config
        model = auto(parsed, attn_implementation="eager")
        self.model = model.eval().requires_grad_(False)

    def parameters(self) -> int:
        """Learned values; tied ones once."""
        named = self.model.named_parameters()
        unique = {id(p): p.numel() for name, p in named if not _of_tower(name)}
        untied = self.bare and not getattr(self.text, "tie_word_embeddings", False)
        return sum(unique.values()) + (self._head() if untied else 0)

    def _head(self) -> int:
        """Weights of a plain LM head."""
        return int(self.text.vocab_size * self.text.hidden_size)

    def flops(self, step: Pass) -> int:
        """Matrix FLOPs of one pass after a really filled cache."""
        cache = self._filled(step.batch, step.past)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self._forward(step, cache)
        by_module = counter.get_flop_counts()
        rotary = {
            name: sum(counts.values())
            for name, counts in by_module.items()
            if name.split(".")[-1] == ROTARY
        }
        rows = {"all": step.batch * step.new, "last": step.batch, "none": 0}[step.logits]
        head = 2 * rows * self._head() if self.bare else 0
        return counter.get_total_flops() - sum(rotary.values()) + head

    def training_flops(self, batch: int, tokens: int, *, again: bool) -> int:
        """Matrix FLOPs of a forward and a backward pass, layers computed once more or not."""
        self.model.requires_grad_(True)
        if again:
            self.model.train()  # which is what checkpointing asks for; nothing here is dropped
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        ids = torch.zeros((batch, tokens), dtype=torch.long)
        whole = torch.utils.checkpoint.set_checkpoint_early_stop(False)  # layers, to their ends
        with FlopCounterMode(display=False) as counter, whole:
            logits = self.model(input_ids=ids, use_cache=False).logits
            logits.float().logsumexp(-1).sum().backward()
        by_module = counter.get_flop_counts()
        rotary = [sum(n.values()) for m, n in by_module.items() if m.split(".")[-1] == ROTARY]
        return counter.get_total_flops() - sum(rotary)

    def cache_bytes(self, tokens: int) -> int:
        """Bytes of the filled cache of one sequence (float32)."""
        cache = self._filled(1, tokens)
        layers = getattr(cache, "layers", ())
        kept = ("keys", "values", "indexer_keys", "idx_keys")
        tensors = [getattr(layer, name, None) for layer in layers for name in kept]
        for layer in layers:
            for part in STATES:
                tensors += getattr(layer, part, {}).values()
        for state in getattr(cache, "rnn_state", {}).values():
            tensors += state
        for module in self.model.modules():  # RecurrentGemma's keep their states themselves
            tensors += [getattr(module, name, None) for name in ("conv1d_state", RECURRENT)]
        found = [t for t in tensors if t is not None]
        # DeepSeek V4 keeps the keys of its windows a second time, as values
        twice = self.config.model_type == "deepseek_v4"
        held = [
            t
            for i, t in enumerate(found)
            if not (twice and any(_alike(t, each) for each in found[:i]))
        ]
        return sum(t.numel() * t.element_size() for t in held)

    def _filled(self, batch: int, tokens: int) -> Any:
        cache = _cache(self.text, batch)
        if tokens:
            with torch.no_grad():
                self._forward(Pass(batch, tokens, 0, "none"), cache)
        return cache

    def _forward(self, step: Pass, cache: Any) -> None:
        size = (step.batch, step.new)
        ids = torch.randint(0, self.text.vocab_size, size)
        positions = torch.arange(step.past, step.past + step.new).expand(step.batch, -1)
        base = self.model.base_model
        named = "cache" if "cache" in signature(base.forward).parameters else "past_key_values"
        options: dict[str, Any] = {named: cache, "use_cache": True}
        if self.bare:
            self.model(ids, **options)
        elif self.config.model_type == "xlstm":  # it computes all logits, whichever are wanted
            found = base(ids, **options)[0]
            kept = {"all": found, "last": found[:, -1:], "none": found[:, :0]}[step.logits]
            self.model.lm_head(kept)
        elif step.logits == "none":
            # it is itself where the class gives its base another name
            (self.model.model if base is self.model else base)(ids, **options)
        elif "position_ids" in _arguments(self.model):
            keep = 1 if step.logits == "last" else 0
            self.model(ids, position_ids=positions, logits_to_keep=keep, **options)
        else:
            self.model(ids, logits_to_keep=1 if step.logits == "last" else 0, **options)


def _cache(config: Any, batch: int) -> Any:
    """An empty cache."""
    if config.model_type != "xlstm":
        return DynamicCache(config=config)
    module = import_module("transformers.models.xlstm.modeling_xlstm")
    return module.xLSTMCache(config, batch, dtype=torch.float32)


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether keys are values, too, which code may keep as a copy (DeepSeek V4, its windows)."""
    return one.numel() > 0 and one.shape == other.shape and bool(torch.equal(one, other))


def _of_tower(name: str) -> bool:
    return any(part in name for part in TOWERS)


def _arguments(model: torch.nn.Module) -> frozenset[str]:
    return frozenset(model.forward.__code__.co_varnames)
