"""The vision tower of the family: `vision_config` of config.json, and names in the root shards."""

from collections.abc import Mapping
from math import isqrt
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2.ignored import ignore_defaults
from mingle.checkpoints.mapping import Ignore, Rename, Rule
from mingle.encoders.vision import VisionConfig, VisionEncoder
from mingle.errors import ConfigError


def read_config(raw: Mapping[str, Any]) -> VisionConfig:
    """Read `vision_config`, `mlp_depth` and the thinker's width from config.json."""
    root = Fields(raw, "config.json")
    thinker = Fields(root.take("llm_config", dict), "llm_config of config.json")
    fields = Fields(root.take("vision_config", dict), "vision_config of config.json")
    table = fields.take("num_position_embeddings", int)
    if isqrt(table) ** 2 != table:
        raise ConfigError(f"num_position_embeddings is {table}, expected a square number")
    config = VisionConfig(
        channels=fields.take("in_channels", int),
        patch_side=fields.take("patch_size", int),
        patch_frames=fields.take("temporal_patch_size", int),
        position_rows=isqrt(table),
        dim=fields.take("hidden_size", int),
        num_layers=fields.take("depth", int),
        num_heads=fields.take("num_heads", int),
        inner_dim=fields.take("intermediate_size", int),
        norm_eps=1e-6,  # these two are constants of the released code
        rope_theta=10000.0,
        merge=fields.take("spatial_merge_size", int),
        merged_dim=fields.take("out_hidden_size", int),
        projector_depth=root.take("mlp_depth", int),
        out_dim=thinker.take("hidden_size", int),
        out_length=1.0,
    )
    fields.expect("model_type", "qwen3_moe_vit")
    fields.expect("hidden_act", "gelu_pytorch_tanh")
    fields.ignore("its outputs are thrown away by the released code", "deepstack_visual_indexes")
    fields.ignore("how training began", "initializer_range")
    ignore_defaults(fields)
    fields.done()
    return config


def build(config: VisionConfig) -> VisionEncoder:
    """The module, with untrained parameters."""
    return VisionEncoder(config)


def rules(config: VisionConfig) -> tuple[Rule, ...]:
    """Names in the root shards."""
    side, frames = config.patch_side, config.patch_frames
    patch = (config.dim, config.channels, frames, side, side)
    theirs, ours, kind = "vision.blocks.{i}.", "layers.{i}.", "{weight|bias}"
    parts = {
        "norm1": "attention_norm",
        "attn.qkv": "qkv",
        "attn.proj": "out",
        "norm2": "feed_forward_norm",
        "mlp.linear_fc1": "up",
        "mlp.linear_fc2": "down",
    }
    return (
        Rename(
            "vision.patch_embed.proj.weight",
            "patch_embedding.weight",
            reshape=(patch, (config.dim, config.patch_values)),
        ),
        Rename("vision.patch_embed.proj.bias", "patch_embedding.bias"),
        Rename("vision.pos_embed.weight", "position_table.weight"),
        *(Rename(f"{theirs}{a}.{kind}", f"{ours}{b}.{kind}") for a, b in parts.items()),
        Rename(f"vision.merger.norm.{kind}", f"merger.norm.{kind}"),
        Rename(f"vision.merger.linear_fc1.{kind}", f"merger.up.{kind}"),
        Rename(f"vision.merger.linear_fc2.{kind}", f"merger.down.{kind}"),
        *(
            Rename(f"linear_proj.{2 * i}.{kind}", f"projector.{i}.{kind}")
            for i in range(config.projector_depth)
        ),
        Ignore("vision.deepstack_merger_list.*", "the released code throws its outputs away"),
    )
