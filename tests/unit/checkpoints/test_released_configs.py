"""The released config.json of both families reads whole: every key it has is known."""

import pytest

from mingle.checkpoints import flash_omni_2, flash_omni_preview
from mingle.checkpoints.flash_omni_2 import audio, thinker, vision
from mingle.checkpoints.flash_omni_preview import vision as preview_vision
from mingle.errors import ConfigError

COMMON = (
    "add_cross_attention architectures bad_words_ids begin_suppress_tokens bos_token_id "
    "chunk_size_feed_forward cross_attention_hidden_size decoder_start_token_id "
    "diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size eos_token_id "
    "exponential_decay_length_penalty finetuning_task forced_bos_token_id forced_eos_token_id "
    "id2label is_decoder is_encoder_decoder label2id length_penalty max_length min_length "
    "no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_attentions "
    "output_hidden_states output_scores pad_token_id prefix problem_type pruned_heads "
    "remove_invalid_values repetition_penalty return_dict return_dict_in_generate sep_token_id "
    "suppress_tokens task_specific_params temperature tf_legacy_loss tie_encoder_decoder "
    "tie_word_embeddings tokenizer_class top_k top_p torch_dtype torchscript typical_p "
    "use_bfloat16"
).split()
"""Keys that transformers wrote into the released files' inner objects."""

LLM = {
    "attention_dropout": 0.0,
    "embedding_dropout": 0.0,
    "first_k_dense_replace": 1,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "image_patch_token": 157157,
    "image_start_token": 157158,
    "initializer_range": 0.006,
    "intermediate_size": 9216,
    "max_position_embeddings": 32768,
    "model_type": "bailing_moe_v2",
    "moe_intermediate_size": 1024,
    "moe_router_topk_scaling_factor": 2.5,
    "n_group": 8,
    "norm_head": False,
    "norm_softmax": False,
    "norm_topk_prob": True,
    "num_attention_heads": 32,
    "num_experts": 256,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 32,
    "num_key_value_heads": 4,
    "num_shared_experts": 1,
    "output_dropout": 0.0,
    "output_router_logits": False,
    "partial_rotary_factor": 0.5,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-6,
    "rope_scaling": {"factor": None, "type": "video_rope"},
    "router_type": "MultiRouter",
    "topk_group": 4,
    "use_bias": False,
    "use_cache": True,
    "use_expert_bias": True,
    "use_qk_norm": True,
    "use_qkv_bias": False,
    "video_patch_token": 157175,
    "video_start_token": 157159,
    "vocab_size": 157184,
    **dict.fromkeys(("architectures", "auto_map", "torch_dtype", "transformers_version")),
    **dict.fromkeys(("eos_token_id", "pad_token_id")),
    "tie_word_embeddings": False,
}
AUDIO = {
    **dict.fromkeys(COMMON),
    "_name_or_path": "",
    "ds_kernel_size": 3,
    "ds_stride": 2,
    "model_type": "",
    "norm_query_embeds": True,
    "whisper_encoder_config": {
        "n_ctx": 15000,
        "n_head": 20,
        "n_layer": 32,
        "n_mels": 128,
        "n_state": 1280,
    },
}
ROOT = {
    **dict.fromkeys(("architectures", "auto_map", "torch_dtype", "transformers_version")),
    "audio_config": AUDIO,
    "mlp_depth": 2,
    "model_type": "bailingmm_moe_v2_lite",
}
TWO = {
    **ROOT,
    "llm_config": {**LLM, "rope_theta": 2400000, "use_interleaved_frame_timestamp": True},
    "vision_config": {
        **dict.fromkeys(("architectures", "dtype")),
        "deepstack_visual_indexes": [8, 16, 24],
        "depth": 27,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": 1152,
        "in_channels": 3,
        "initializer_range": 0.02,
        "intermediate_size": 4304,
        "model_type": "qwen3_moe_vit",
        "num_heads": 16,
        "num_position_embeddings": 2304,
        "out_hidden_size": 4096,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
PREVIEW = {
    **ROOT,
    "llm_config": {**LLM, "rope_theta": 600000},
    "vision_config": {
        **dict.fromkeys((*COMMON, "_attn_implementation_autoset", "auto_map")),
        "depth": 32,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "hidden_act": "silu",
        "hidden_size": 1280,
        "in_channels": 3,
        "in_chans": 3,
        "intermediate_size": 3456,
        "model_type": "qwen2_5_vit",
        "num_heads": 16,
        "out_hidden_size": 8192,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "temporal_patch_size": 2,
        "tokens_per_second": 2,
        "window_size": 112,
    },
}


def test_config_of_2_0_reads_whole() -> None:
    flash_omni_2.check_root({"config.json": TWO})
    assert flash_omni_2.recognise(TWO)
    assert not flash_omni_2.recognise(PREVIEW)
    assert thinker.read_config(TWO).head_dim == 128
    assert vision.read_config(TWO).position_rows == 48
    assert audio.read_config(TWO).max_frames == 15000


def test_config_of_the_preview_reads_whole() -> None:
    flash_omni_2.check_root({"config.json": PREVIEW})
    assert flash_omni_preview.recognise(PREVIEW)
    assert not flash_omni_preview.recognise(TWO)
    assert thinker.read_config(PREVIEW).rope.theta == 600000
    tower = preview_vision.read_config(PREVIEW)
    assert tower.window_side == 8  # patches: 112 pixels
    assert tower.full_layers == (7, 15, 23, 31)
    assert audio.read_config(PREVIEW) == audio.read_config(TWO)


@pytest.mark.parametrize("part", ["llm_config", "vision_config", "audio_config"])
def test_one_more_key_anywhere_is_refused(part: str) -> None:
    readers = {"llm_config": thinker, "vision_config": vision, "audio_config": audio}
    raw = {**TWO, part: {**TWO[part], "sliding_experts": 3}}
    with pytest.raises(ConfigError, match="unknown key 'sliding_experts' in " + part):
        readers[part].read_config(raw)
