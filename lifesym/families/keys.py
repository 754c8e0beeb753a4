"""Keys of configs that need no field: other spellings, other towers, and what changes nothing."""

ALIASES = {"num_local_experts_per_tok": "num_experts_per_tok", "dtype": "torch_dtype"}
"""Keys that transformers 4 and 5 spell differently in every family."""

SUBCONFIGS = frozenset({"vision_config", "audio_config", "text_config"})
"""Parts of multimodal models: `lifesym.multimodal` and `lifesym.towers` read them."""

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
    compression_config quantization quantization_config query_pre_attn_scalar
    reorder_and_upcast_attn resid_dropout
    resid_pdrop return_dict rms_norm_eps rope_local_base_freq rope_parameters rope_ratio
    rope_scaling rope_theta rotary rotary_emb_base scale_attn_by_inverse_layer_idx
    scale_attn_weights sep_token_id seq_length skip_bias_add skip_bias_add_qkv slow_but_exact
    summary_activation summary_first_dropout summary_proj_to_labels summary_type
    summary_use_proj task_specific_params tokenizer_class torch_dtype transformers_version
    unk_token_id unsloth_version use_cache use_flash_attn
"""
HARMLESS = frozenset(_HARMLESS.split())
"""Keys that no operation, byte or dispatch depends on (formats are chosen by the caller)."""
