"""The talker of the family: `talker/` (its autoencoder is in audio_vae.py)."""

from collections.abc import Mapping
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2.ignored import ignore_defaults
from mingle.checkpoints.flash_omni_2.qwen2 import decoder_rules, read_qwen2
from mingle.checkpoints.mapping import Ignore, Join, Rename, Rule
from mingle.talker.blocks import BlocksConfig
from mingle.talker.flow_head import FlowHeadConfig
from mingle.talker.model import Talker, TalkerConfig
from mingle.talker.patch_encoder import PatchEncoderConfig

SPEAKER_DIM = 192  # CAM++


def read_config(raw: Mapping[str, Any], llm: Mapping[str, Any]) -> TalkerConfig:
    """Read `talker/config.json` and `talker/llm/config.json`. Raises ConfigError."""
    fields = Fields(raw, "talker/config.json")
    lm = read_qwen2(llm, "talker/llm/config.json")
    fields.expect("model_type", "bailing_talker", "bailing_talker2")
    flow = _flow(fields, lm.dim)
    config = TalkerConfig(
        vocab_size=Fields(llm, "talker/llm/config.json").take("vocab_size", int),
        speaker_dim=SPEAKER_DIM,
        steps=fields.take("steps", int),
        lm=lm,
        flow=flow,
        aligned=None,
        patch_encoder=_patch_encoder(fields, lm.dim, flow.latent_dim),
    )
    fields.expect("latent_dim", flow.latent_dim)
    fields.ignore("given with each request", "cfg_strength", "sigma")
    fields.ignore("where the file was found", "name_or_path")
    ignore_defaults(fields)
    fields.done()
    return config


def build(config: TalkerConfig) -> Talker:
    """The module, with untrained parameters."""
    return Talker(config)


def rules(config: TalkerConfig) -> tuple[Rule, ...]:
    """Names in `talker/model.safetensors`."""
    return (
        *lm_rules(config),
        *flow_rules(config.flow),
        *patch_encoder_rules(config.patch_encoder),
        *head_rules(),
    )


def lm_rules(config: TalkerConfig) -> tuple[Rule, ...]:
    """The language model, below `model.`."""
    return (
        Rename("model.embed_tokens.weight", "token_embedding.weight"),
        *decoder_rules(config.lm, "model.", "lm."),
    )


def flow_rules(config: FlowHeadConfig) -> tuple[Rule, ...]:
    """The flow head, below `cfm.`."""
    theirs, ours = "cfm.model.", "flow_head."
    kind = "{weight|bias}"
    return (
        Rename(f"{theirs}t_embedder.time_mlp.0.{kind}", f"{ours}time_in.{kind}"),
        Rename(f"{theirs}t_embedder.time_mlp.2.{kind}", f"{ours}time_out.{kind}"),
        Rename(f"{theirs}c_embedder.cond_embedder.{kind}", f"{ours}condition_in.{kind}"),
        Ignore("cfm.spk_embedder.*", "the released talker never passes a speaker here"),
        Ignore("cfm.model.spk_embedder.*", "the released talker never passes a speaker here"),
        *_shared_rules(config.blocks, theirs, ours),
    )


def patch_encoder_rules(config: PatchEncoderConfig) -> tuple[Rule, ...]:
    """The patch encoder, below `aggregator.`."""
    dim = config.blocks.dim
    theirs, ours = "aggregator.", "patch_encoder."
    summary = Rename(f"{theirs}word_embedder.weight", f"{ours}summary", reshape=((1, dim), (dim,)))
    return (summary, *_shared_rules(config.blocks, theirs, ours))


def head_rules() -> tuple[Rule, ...]:
    """Stop head and speaker projection."""
    return (
        Rename("stop_head.{weight|bias}", "stop_head.{weight|bias}"),
        Rename("spk_head.{weight|bias}", "speaker_head.{weight|bias}"),
    )


def _shared_rules(config: BlocksConfig, theirs: str, ours: str) -> tuple[Rule, ...]:
    kind = "{weight|bias}"
    block, our_block = f"{theirs}blocks.{{i}}.", f"{ours}blocks.layers.{{i}}."
    attention = f"{block}attn."
    norms = (
        Rename(f"{attention}q_norm.weight", f"{our_block}attention.query_norm.weight"),
        Rename(f"{attention}k_norm.weight", f"{our_block}attention.key_norm.weight"),
    )
    queries = tuple(f"{attention}to_{name}.{kind}" for name in "qkv")
    return (
        Rename(f"{theirs}x_embedder.{kind}", f"{ours}latent_in.{kind}"),
        Rename(f"{theirs}final_layer.norm_final.weight", f"{ours}norm.weight"),
        Rename(f"{theirs}final_layer.linear.{kind}", f"{ours}out.{kind}"),
        Ignore(f"{theirs}rotary_embed.inv_freq", "constant: rope frequencies"),
        Rename(f"{block}norm1.weight", f"{our_block}attention_norm.weight"),
        Rename(f"{block}norm2.weight", f"{our_block}feed_forward_norm.weight"),
        Join(queries, f"{our_block}attention.qkv.{kind}", (1, 1, 1)),
        Rename(f"{attention}to_out.0.{kind}", f"{our_block}attention.out.{kind}"),
        *(norms if config.qk_norm else ()),
        Rename(f"{block}mlp.ff.0.0.{kind}", f"{our_block}widen.{kind}"),
        Rename(f"{block}mlp.ff.2.{kind}", f"{our_block}narrow.{kind}"),
    )


def _flow(fields: Fields, lm_dim: int) -> FlowHeadConfig:
    flow = Fields(fields.take("flowmodel", dict), "flowmodel of talker/config.json")
    config = FlowHeadConfig(
        latent_dim=flow.take("in_channels", int, 64),
        condition_dim=lm_dim,
        patch=fields.take("patch_size", int),
        history=fields.take("history_patch_size", int),
        blocks=_blocks(flow),
    )
    flow.expect("llm_cond_dim", lm_dim)
    flow.ignore("a choice of training", "cfg_dropout_prob")
    flow.ignore("the released talker never passes a speaker here", "spk_dim")
    flow.done()
    return config


def _patch_encoder(fields: Fields, lm_dim: int, latent_dim: int) -> PatchEncoderConfig:
    raw = Fields(fields.take("aggregator", dict), "aggregator of talker/config.json")
    raw.expect("in_channels", latent_dim)
    raw.expect("llm_input_dim", lm_dim)
    config = PatchEncoderConfig(latent_dim=latent_dim, out_dim=lm_dim, blocks=_blocks(raw))
    raw.done()
    return config


def _blocks(fields: Fields) -> BlocksConfig:
    dim = fields.take("hidden_size", int)
    fields.expect("qk_norm", None, "rms_norm")
    config = BlocksConfig(
        depth=fields.take("depth", int),
        dim=dim,
        num_heads=fields.take("num_heads", int),
        inner_dim=int(dim * fields.take("mlp_ratio", float, 4.0)),
        qk_norm=fields.take("qk_norm", str | None, None) is not None,
        rotary_heads=fields.take("pe_attn_head", int | None, None),
    )
    fields.ignore("dropout is off outside of training", "dropout")
    fields.ignore("the attention is ours, over packed sequences", "attn_backend")
    fields.ignore("there is no padding to mask", "attn_mask_enabled")
    return config
