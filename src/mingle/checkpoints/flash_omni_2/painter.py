"""The painter of the family: what its tensors are called, folder by folder.

Names are `folder/name`: `mlp/` (queries, projections), `connector/`, `byt5_model/`, `byt5_mapper/`,
`transformer/`, `vae/`. The last two are library models: their names stay.
"""

from mingle.checkpoints.flash_omni_2.painter_config import read_config
from mingle.checkpoints.flash_omni_2.qwen2 import decoder_rules
from mingle.checkpoints.mapping import Ignore, Rename, Rule
from mingle.painter.config import AutoencoderConfig, ConditionConfig, GlyphConfig, PainterConfig
from mingle.painter.model import Painter

__all__ = ["build", "read_config", "rules"]

AFFINE = "{weight|bias}"


def build(config: PainterConfig) -> Painter:
    """The module, with untrained parameters."""
    return Painter(config)


def rules(config: PainterConfig) -> tuple[Rule, ...]:
    """Every tensor of a painter."""
    return (
        *condition_rules(config.condition),
        *(glyph_rules(config.glyph) if config.glyph else ()),
        *transformer_rules("transformer/"),
        *autoencoder_rules(config.autoencoder, "vae/"),
    )


def condition_rules(config: ConditionConfig) -> tuple[Rule, ...]:
    """`mlp/` and `connector/`."""
    queries = (
        Rename(f"mlp/query_tokens_dict.{scale}x{scale}", f"queries.{number}")
        for number, scale in enumerate(config.query_scales)
    )
    return (
        *queries,
        Rename(f"mlp/{{proj_in|proj_out}}.{AFFINE}", f"connector.{{proj_in|proj_out}}.{AFFINE}"),
        *(finish_rules() if config.mlp_dim else ()),
        Ignore("connector/model.embed_tokens.weight", "the connector is fed embeddings"),
        Ignore("connector/lm_head.weight", "the connector's logits are not used"),
        *decoder_rules(config.connector, "connector/model.", "connector.decoder."),
    )


def finish_rules() -> tuple[Rule, ...]:
    """The network before the transformer, where a model has one."""
    places = {"fc1": 0, "layer_norm1": 1, "fc2": 3, "layer_norm2": 4}
    return tuple(
        Rename(f"mlp/mlp.{name}.{AFFINE}", f"finish.network.{place}.{AFFINE}")
        for name, place in places.items()
    )


def glyph_rules(config: GlyphConfig) -> tuple[Rule, ...]:
    """`byt5_model/` and `byt5_mapper/`."""
    encoder, mapper = "glyphs.encoder.", "glyphs.mapper."
    return (
        Rename("byt5_model/embed_tokens.weight", f"{encoder}embed_tokens.weight"),
        *_t5_rules(config, "byt5_model/block.", f"{encoder}block."),
        Rename("byt5_model/final_layer_norm.weight", f"{encoder}final_layer_norm.weight"),
        *_t5_rules(config, "byt5_mapper/blocks.", f"{mapper}block."),
        Rename("byt5_mapper/layer_norm.weight", f"{mapper}final_layer_norm.weight"),
        Rename(f"byt5_mapper/channel_mapper.{AFFINE}", f"glyphs.project.{AFFINE}"),
        Rename("byt5_mapper/final_layer_norm.weight", "glyphs.norm.weight"),
    )


def _t5_rules(config: GlyphConfig, theirs: str, ours: str) -> tuple[Rule, ...]:
    inner = "{wi_0|wi_1|wo}" if config.feed_forward == "gated-gelu" else "{wi|wo}"
    attention = "{i}.layer.0.SelfAttention"
    names = (
        f"{attention}.{{q|k|v|o}}.weight",
        f"{attention}.relative_attention_bias.weight",
        "{i}.layer.{j}.layer_norm.weight",
        f"{{i}}.layer.1.DenseReluDense.{inner}.weight",
    )
    return tuple(Rename(theirs + name, ours + name) for name in names)


def transformer_rules(theirs: str) -> tuple[Rule, ...]:
    """The diffusion transformer; `theirs` is the prefix of its names."""
    block = "{noise_refiner|context_refiner|layers}.{i}."
    names = (
        "{x_pad_token|cap_pad_token}",
        "cap_embedder.0.weight",
        f"cap_embedder.1.{AFFINE}",
        f"t_embedder.mlp.{{i}}.{AFFINE}",
        f"all_x_embedder.{{p}}-1.{AFFINE}",
        f"all_final_layer.{{p}}-1.linear.{AFFINE}",
        f"all_final_layer.{{p}}-1.adaLN_modulation.1.{AFFINE}",
        f"{block}attention.{{to_q|to_k|to_v|to_out.0|norm_q|norm_k}}.weight",
        f"{block}feed_forward.{{w1|w2|w3}}.weight",
        f"{block}{{attention_norm1|attention_norm2|ffn_norm1|ffn_norm2}}.weight",
        f"{block}adaLN_modulation.0.{AFFINE}",
    )
    return tuple(Rename(theirs + name, f"transformer.{name}") for name in names)


def autoencoder_rules(config: AutoencoderConfig, theirs: str) -> tuple[Rule, ...]:
    """The autoencoder; `theirs` is the prefix of its names."""
    half = "{encoder|decoder}."
    level = f"{half}{{down_blocks|up_blocks}}.{{i}}."
    resnet = f"resnets.{{j}}.{{norm1|conv1|norm2|conv2|conv_shortcut}}.{AFFINE}"
    attention = f"attentions.{{j}}.{{group_norm|to_q|to_k|to_v|to_out.0}}.{AFFINE}"
    names = (
        *([f"quant_conv.{AFFINE}"] if config.quant_conv else []),
        *([f"post_quant_conv.{AFFINE}"] if config.post_quant_conv else []),
        f"{half}{{conv_in|conv_norm_out|conv_out}}.{AFFINE}",
        f"{level}{resnet}",
        f"{level}{{downsamplers|upsamplers}}.0.conv.{AFFINE}",
        f"{half}mid_block.{resnet}",
        f"{half}mid_block.{attention}",
    )
    return tuple(Rename(theirs + name, f"autoencoder.{name}") for name in names)
