"""The vision tower of the Preview: `vision_config` of config.json, and names in the root shards."""

from collections.abc import Mapping
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2.ignored import ignore_defaults
from mingle.checkpoints.mapping import Join, Rename, Rule
from mingle.encoders.window_vision import WindowVisionConfig, WindowVisionEncoder
from mingle.errors import ConfigError


def read_config(raw: Mapping[str, Any]) -> WindowVisionConfig:
    """Read `vision_config`, `mlp_depth` and the thinker's width from config.json."""
    root = Fields(raw, "config.json")
    thinker = Fields(root.take("llm_config", dict), "llm_config of config.json")
    fields = Fields(root.take("vision_config", dict), "vision_config of config.json")
    patch_side = fields.take("patch_size", int)
    channels = fields.take("in_channels", int)
    window = fields.take("window_size", int)  # pixels
    merge = fields.take("spatial_merge_size", int)
    if window % (patch_side * merge):
        raise ConfigError(
            f"window_size is {window} pixels, expected a multiple of {patch_side * merge}"
        )
    config = WindowVisionConfig(
        channels=channels,
        patch_side=patch_side,
        patch_frames=fields.take("temporal_patch_size", int),
        dim=fields.take("hidden_size", int),
        num_layers=fields.take("depth", int),
        num_heads=fields.take("num_heads", int),
        inner_dim=fields.take("intermediate_size", int),
        norm_eps=1e-6,  # these two are constants of the released code
        rope_theta=10000.0,
        window_side=window // patch_side,
        full_layers=tuple(fields.take("fullatt_block_indexes", list)),
        merge=merge,
        merged_dim=fields.take("out_hidden_size", int),
        projector_depth=root.take("mlp_depth", int),
        out_dim=thinker.take("hidden_size", int),
    )
    fields.expect("model_type", "qwen2_5_vit")
    fields.expect("hidden_act", "silu")
    fields.expect("in_chans", channels)
    fields.expect("spatial_patch_size", patch_side)
    fields.ignore("for films, which this family does not read here", "tokens_per_second")
    ignore_defaults(fields)
    fields.done()
    return config


def build(config: WindowVisionConfig) -> WindowVisionEncoder:
    """The module, with untrained parameters."""
    return WindowVisionEncoder(config)


def rules(config: WindowVisionConfig) -> tuple[Rule, ...]:
    """Names in the root shards."""
    side, frames = config.patch_side, config.patch_frames
    patch = (config.dim, config.channels, frames, side, side)
    theirs, ours, kind = "vision.blocks.{i}.", "layers.{i}.", "{weight|bias}"
    names = {
        "norm1.weight": "attention_norm.weight",
        f"attn.qkv.{kind}": f"qkv.{kind}",
        f"attn.proj.{kind}": f"out.{kind}",
        "norm2.weight": "feed_forward_norm.weight",
        f"mlp.down_proj.{kind}": f"down.{kind}",
    }
    gate_up = (f"{theirs}mlp.gate_proj.{kind}", f"{theirs}mlp.up_proj.{kind}")
    return (
        Rename(
            "vision.patch_embed.proj.weight",
            "patch_embedding.weight",
            reshape=(patch, (config.dim, config.patch_values)),
        ),
        *(Rename(theirs + a, ours + b) for a, b in names.items()),
        Join(gate_up, f"{ours}gate_up.{kind}", (1, 1)),
        Rename("vision.merger.ln_q.weight", "merger.norm.weight"),
        Rename(f"vision.merger.mlp.0.{kind}", f"merger.up.{kind}"),
        Rename(f"vision.merger.mlp.2.{kind}", f"merger.down.{kind}"),
        *(
            Rename(f"linear_proj.{2 * i}.{kind}", f"projector.{i}.{kind}")
            for i in range(config.projector_depth)
        ),
    )
