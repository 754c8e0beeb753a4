"""Keys of configs that need no field: other spellings, other towers, and what changes nothing."""

import re

ALIASES = {"num_local_experts_per_tok": "num_experts_per_tok", "dtype": "torch_dtype"}
"""Keys that transformers 4 and 5 spell differently in every family."""

SUBCONFIGS = frozenset({"vision_config", "audio_config", "text_config"})
"""Parts of multimodal models: `lifesym.multimodal` and `lifesym.towers` read them."""

_GENERATION = """
    assistant_confidence_threshold assistant_early_exit assistant_ensemble_weight
    assistant_lookbehind bad_words_ids begin_suppress_tokens cache_config compile_config
    constraints continuous_batching_config disable_compile diversity_penalty do_sample dola_layers
    early_stopping encoder_no_repeat_ngram_size encoder_repetition_penalty epsilon_cutoff
    eta_cutoff exponential_decay_length_penalty force_words_ids forced_decoder_ids
    generation_config guidance_scale
    is_assistant length_penalty low_memory max_cache_len max_length max_matching_ngram_size
    max_new_tokens max_time min_length min_new_tokens min_p no_repeat_ngram_size
    num_assistant_tokens num_assistant_tokens_schedule num_beam_groups num_beams
    num_return_sequences output_logits output_scores penalty_alpha prefill_chunk_size
    prompt_lookup_num_tokens remove_invalid_values renormalize_logits repetition_penalty
    return_dict_in_generate sequence_bias speculation_type stop_strings suppress_tokens
    target_lookbehind temperature token_healing top_h top_k top_p typical_p use_mtp
    watermarking_config
"""
"""How text is generated: the attributes of transformers' ``GenerationConfig``, 4 and 5."""

_TOKENIZER = """
    add_bos_token add_eos_token add_prefix_space clean_up_tokenization_spaces padding_side
    pad_to_multiple_of tokenizer tokenizer_name tokenizer_type truncation_side use_fast
"""
_TRAINING = """
    aux_loss_alpha aux_loss_coef ep_size gradient_checkpointing_kwargs init_config init_device
    init_method internal_version is_decoder is_encoder_decoder label_smoothing_factor mlp_dropout
    pruned_heads push_to_hub_model_id seq_aux tf_legacy_loss tie_encoder_decoder torchscript
    use_bfloat16 z_loss_coef
"""
_HARMLESS = """
    activation_dropout apply_residual_connection_post_layernorm bias_dropout_fusion output_past
    cache_implementation
    output_router_logits router_aux_loss_coef router_jitter_noise norm_topk_prob
    architectures attention_dropout attention_probs_dropout_prob attention_softmax_in_fp32
    attn_implementation attn_pdrop auto_map boi_token_index bos_token_id chat_template
    chunk_size_feed_forward classifier_dropout cls_token_id decoder_start_token_id dropout
    embd_pdrop embed_dropout eoi_token_index eos_token_id finetuning_task forced_bos_token_id
    forced_eos_token_id gradient_checkpointing hidden_dropout hidden_dropout_prob
    hidden_dropout_rate id2label image_token_index init_std initializer_factor
    initializer_range is_encoder_decoder keys_to_ignore_at_inference label2id layer_norm_eps
    layer_norm_epsilon layerdrop mask_token_id masked_softmax_fusion max_position_embeddings
    max_sequence_length mm_tokens_per_image model_max_length model_type n_ctx norm_epsilon
    num_labels offset_alibi original_max_position_embeddings output_attentions
    output_hidden_states pad_token_id partial_rotary_factor prefix pretraining_tp problem_type
    compression_config hf_quant_config.json quantization quantization_config query_pre_attn_scalar
    reorder_and_upcast_attn resid_dropout
    resid_pdrop return_dict rms_norm_eps rope_local_base_freq rope_parameters rope_ratio
    rope_scaling rope_theta rotary rotary_emb_base scale_attn_by_inverse_layer_idx
    scale_attn_weights sep_token_id seq_length skip_bias_add skip_bias_add_qkv slow_but_exact
    summary_activation summary_first_dropout summary_proj_to_labels summary_type
    summary_use_proj task_specific_params tokenizer_class torch_dtype transformers_version
    unk_token_id unsloth_version use_cache use_flash_attn
"""
HARMLESS = frozenset(f"{_GENERATION} {_TOKENIZER} {_TRAINING} {_HARMLESS}".split())
"""Keys that no operation, byte or dispatch depends on (formats are chosen by the caller)."""

_PATTERNS = (
    r".*_token_(id|ids|index|indices)",
    r".*(dropout|_pdrop|layerdrop)(_rate|_prob|_p)?",
    r"(.*_)?(initializer_range|initializer_factor|init_std)",
    r"transformers\..*|transformers_.*",
)
HARMLESS_PATTERN = re.compile("|".join(_PATTERNS))
"""Spellings of keys that change nothing in any family: tokens' numbers, and how it was trained."""
