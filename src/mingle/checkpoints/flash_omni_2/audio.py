"""The audio tower of the family: `audio_config` of config.json, and names in the root shards."""

from collections.abc import Mapping
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2.ignored import ignore_defaults
from mingle.checkpoints.mapping import Rename, Rule
from mingle.encoders.audio import AudioConfig, AudioEncoder


def read_config(raw: Mapping[str, Any]) -> AudioConfig:
    """Read `audio_config`, `mlp_depth` and the thinker's width from config.json."""
    root = Fields(raw, "config.json")
    thinker = Fields(root.take("llm_config", dict), "llm_config of config.json")
    fields = Fields(root.take("audio_config", dict), "audio_config of config.json")
    where = "whisper_encoder_config of config.json"
    tower = Fields(fields.take("whisper_encoder_config", dict), where)
    config = AudioConfig(
        mels=tower.take("n_mels", int),
        dim=tower.take("n_state", int),
        num_layers=tower.take("n_layer", int),
        num_heads=tower.take("n_head", int),
        max_frames=tower.take("n_ctx", int),
        norm_eps=1e-5,  # a constant of the released code
        refiner=None,
        projector_kernel=fields.take("ds_kernel_size", int),
        projector_stride=fields.take("ds_stride", int),
        projector_depth=root.take("mlp_depth", int),
        out_dim=thinker.take("hidden_size", int),
        out_length=1.0 if fields.take("norm_query_embeds", bool) else None,
    )
    tower.done()
    fields.expect("ds_conv_type", "conv")
    fields.ignore("the name of a base class", "model_type")
    ignore_defaults(fields)
    fields.done()
    return config


def build(config: AudioConfig) -> AudioEncoder:
    """The module, with untrained parameters."""
    return AudioEncoder(config)


def rules(config: AudioConfig) -> tuple[Rule, ...]:
    """Names in the root shards."""
    theirs, ours, kind = "audio.blocks.{i}.", "layers.{i}.", "{weight|bias}"
    parts = {
        "attn_ln": "attention_norm",
        "attn.query": "query",
        "attn.value": "value",
        "attn.out": "out",
        "mlp_ln": "feed_forward_norm",
        "mlp.0": "up",
        "mlp.2": "down",
    }
    return (
        Rename(f"audio.conv1.{kind}", f"conv1.{kind}"),
        Rename(f"audio.conv2.{kind}", f"conv2.{kind}"),
        Rename("audio.positional_embedding", "positions"),
        *(Rename(f"{theirs}{a}.{kind}", f"{ours}{b}.{kind}") for a, b in parts.items()),
        Rename(f"{theirs}attn.key.weight", f"{ours}key.weight"),
        Rename(f"audio.ln_post.{kind}", f"norm.{kind}"),
        Rename(f"linear_proj_audio.0.{kind}", f"join.{kind}"),
        *(
            Rename(f"linear_proj_audio.{2 * i + 3}.{kind}", f"projector.{i}.{kind}")
            for i in range(config.projector_depth - 1)
        ),
    )
