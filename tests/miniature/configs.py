"""The miniature's configuration files: official keys, the smallest sizes that still show all."""

from typing import Any

from miniature.words import TALKER_VOCAB_SIZE, VOCAB_SIZE, token_id

DIM = 64  # the thinker's width


def llm_config() -> dict[str, Any]:
    """Three layers, the first of them dense, eight experts in four groups."""
    return {
        "architectures": ["BailingMoeV2ForCausalLM"],
        "attention_dropout": 0.0,
        "embedding_dropout": 0.0,
        "eos_token_id": token_id("<|role_end|>"),
        "first_k_dense_replace": 1,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": DIM,
        "image_patch_token": token_id("<imagePatch>"),
        "image_start_token": token_id("<image>"),
        "initializer_range": 0.006,
        "intermediate_size": 64,
        "max_position_embeddings": 8192,
        "model_type": "bailing_moe_v2",
        "moe_intermediate_size": 16,
        "moe_router_topk_scaling_factor": 2.5,
        "n_group": 4,
        "norm_head": False,
        "norm_softmax": False,
        "norm_topk_prob": True,
        "num_attention_heads": 2,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 3,
        "num_key_value_heads": 1,
        "num_shared_experts": 1,
        "output_dropout": 0.0,
        "output_router_logits": False,
        "pad_token_id": token_id("<|endoftext|>"),
        "partial_rotary_factor": 0.5,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-6,
        "rope_scaling": {"factor": None, "type": "video_rope"},
        "rope_theta": 2400000,
        "router_type": "MultiRouter",
        "tie_word_embeddings": False,
        "topk_group": 2,
        "use_bias": False,
        "use_cache": True,
        "use_expert_bias": True,
        "use_interleaved_frame_timestamp": True,
        "use_qk_norm": True,
        "use_qkv_bias": False,
        "video_patch_token": token_id("<framePatch>"),
        "video_start_token": token_id("</image>"),  # so in the released file
        "vocab_size": VOCAB_SIZE,
    }


def root_config() -> dict[str, Any]:
    """config.json: thinker, vision tower, audio tower."""
    return {
        "architectures": ["BailingMM2NativeForConditionalGeneration"],
        "audio_config": {
            "ds_kernel_size": 3,
            "ds_stride": 2,
            "norm_query_embeds": True,
            "whisper_encoder_config": {
                "n_ctx": 15000,
                "n_head": 4,
                "n_layer": 2,
                "n_mels": 128,
                "n_state": 32,
            },
        },
        "llm_config": llm_config(),
        "mlp_depth": 2,
        "model_type": "bailingmm_moe_v2_lite",
        "torch_dtype": "float32",
        "vision_config": {
            "architectures": ["Qwen3MoeVisionTransformer"],
            "deepstack_visual_indexes": [0, 1],
            "depth": 2,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": 32,
            "in_channels": 3,
            "initializer_range": 0.02,
            "intermediate_size": 48,
            "model_type": "qwen3_moe_vit",
            "num_heads": 4,
            "num_position_embeddings": 36,
            "out_hidden_size": DIM,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }


def preview_vision_config() -> dict[str, Any]:
    """The Preview's vision tower: windows of 4 x 4 blocks, the second of three layers sees all."""
    return {
        "architectures": ["Qwen2_5_VisionTransformer"],
        "depth": 3,
        "fullatt_block_indexes": [1],
        "hidden_act": "silu",
        "hidden_size": 32,
        "in_channels": 3,
        "intermediate_size": 48,
        "model_type": "qwen2_5_vit",
        "num_heads": 4,
        "out_hidden_size": 48,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "tokens_per_second": 2,
        "window_size": 112,
    }


def preprocessor_config() -> dict[str, Any]:
    """preprocessor_config.json, with the released sizes."""
    return {
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "max_pixels": 16777216,
        "merge_size": 2,
        "min_pixels": 4096,
        "patch_size": 16,
        "sampling_rate": 16000,
        "temporal_patch_size": 2,
        "whisper_frontend_args": {"n_mels": 128},
    }


def qwen2_config(dim: int, layers: int, vocab_size: int) -> dict[str, Any]:
    """A small Qwen2: the talker's language model, the painter's connector."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "hidden_size": dim,
        "intermediate_size": dim + dim // 2,
        "max_position_embeddings": 4096,
        "model_type": "qwen2",
        "num_attention_heads": 4,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "vocab_size": vocab_size,
    }


def talker_configs() -> dict[str, Any]:
    """The files of talker/: 44100 Hz as released, everything else small."""
    blocks = {"in_channels": 64, "hidden_size": 32, "depth": 1, "num_heads": 2, "mlp_ratio": 2.0}
    backbone = {
        "hidden_act": "silu",
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_attention_heads": 4,
        "num_hidden_layers": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "vocab_size": 32,
    }
    return {
        "talker/config.json": {
            "model_type": "bailing_talker",
            "patch_size": 4,
            "history_patch_size": 32,
            "steps": 10,
            "flowmodel": {**blocks, "llm_cond_dim": 64, "attn_backend": "torch"},
            "aggregator": {**blocks, "attn_backend": "torch"},
        },
        "talker/llm/config.json": qwen2_config(64, 2, TALKER_VOCAB_SIZE),
        "talker/vae/config.json": {
            "architectures": ["AudioVAE"],
            "sample_rate": 44100,
            "patch_size": 4,
            "enc_kwargs": {
                "backbone": backbone,
                "hop_size": 882,
                "input_dim": 882,
                "latent_dim": 64,
            },
            "dec_kwargs": {"backbone": backbone, "output_dim": 882, "latent_dim": 64},
        },
    }


def painter_configs() -> dict[str, Any]:
    """The files of the painter's folders, the glyph encoder among them."""
    token_dim = 24
    return {
        "byt5/byt5.json": {
            "byt5_mapper_config": {"num_layers": 1, "sdxl_channels": token_dim},
            "byt5_mapper_type": "T5EncoderBlockByT5Mapper",
            "byt5_max_length": 24,
        },
        "byt5/google__byt5-smal/config.json": {  # so the released folder is called
            "d_ff": 24,
            "d_kv": 8,
            "d_model": 16,
            "feed_forward_proj": "gated-gelu",
            "model_type": "t5",
            "num_heads": 2,
            "num_layers": 1,
            "vocab_size": 400,
        },
        "mlp/config.json": {
            "diffusion_c_input_dim": token_dim,
            "dit_type": "zimage",
            "img_gen_scales": [4],
            "text_encoder_norm": True,
            "use_identity_mlp": True,
        },
        "connector/config.json": qwen2_config(32, 1, 16),
        "scheduler/scheduler_config.json": {
            "_class_name": "FlowMatchEulerDiscreteScheduler",
            "num_train_timesteps": 1000,
            "shift": 3.0,
            "use_dynamic_shifting": False,
        },
        "transformer/config.json": {
            "_class_name": "ZImageTransformer2DModel",
            "all_f_patch_size": [1],
            "all_patch_size": [2],
            "axes_dims": [4, 6, 6],
            "axes_lens": [512, 64, 64],
            "cap_feat_dim": token_dim,
            "dim": 32,
            "in_channels": 16,
            "n_heads": 2,
            "n_kv_heads": 2,
            "n_layers": 1,
            "n_refiner_layers": 1,
            "norm_eps": 1e-5,
            "qk_norm": True,
            "rope_theta": 256.0,
            "t_scale": 1000.0,
        },
        "vae/config.json": {
            "_class_name": "AutoencoderKL",
            "act_fn": "silu",
            "block_out_channels": [4, 4, 4, 8],  # four levels: an eighth of the side, as released
            "down_block_types": ["DownEncoderBlock2D"] * 4,
            "in_channels": 3,
            "latent_channels": 16,
            "layers_per_block": 1,
            "mid_block_add_attention": True,
            "norm_num_groups": 4,
            "out_channels": 3,
            "scaling_factor": 0.3611,
            "shift_factor": 0.1159,
            "up_block_types": ["UpDecoderBlock2D"] * 4,
            "use_post_quant_conv": False,
            "use_quant_conv": False,
        },
    }
