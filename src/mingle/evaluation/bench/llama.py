"""The peer that nano is measured against: transformers' Llama with the base's own tensors."""

from typing import Any

import torch

from mingle.checkpoints.gguf import GgufFile
from mingle.checkpoints.mapping import Rename, apply
from mingle.checkpoints.nano import upcycle
from mingle.errors import missing_extra
from mingle.thinker.config import ThinkerConfig

TOP = {"token_embd": "embed_tokens", "output_norm": "norm"}
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def transformers_llama(base: GgufFile, config: ThinkerConfig, stop_ids: tuple[int, ...]) -> Any:
    """transformers' model in fp32, from the dequantised base. Raises CapacityError without it."""
    try:
        from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM
    except ImportError as error:
        raise missing_extra("image", "transformers") from error
    sizes = LlamaConfig(
        vocab_size=config.output_size,
        hidden_size=config.dim,
        intermediate_size=config.dense_dim,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        max_position_embeddings=config.max_positions,
        rms_norm_eps=config.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope.theta},
        tie_word_embeddings=True,
    )
    llama = LlamaForCausalLM(sizes).eval()
    rules = [Rename(f"{gguf}.weight", f"model.{name}.weight") for gguf, name in TOP.items()]
    rules += [
        Rename(f"blk.{{i}}.{gguf}.weight", f"model.layers.{{i}}.{name}.weight")
        for gguf, name in LAYER.items()
    ]
    state, _ = apply(rules, upcycle.base_tensors(base, config))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    llama.load_state_dict(state, strict=True)
    assert llama.dtype == torch.float32
    llama.generation_config = GenerationConfig(
        eos_token_id=list(stop_ids), pad_token_id=stop_ids[0], do_sample=False
    )
    return llama
