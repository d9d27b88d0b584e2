"""The painter's configuration files, read strictly: one reader for each folder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2.qwen2 import read_qwen2
from mingle.errors import ConfigError
from mingle.painter.config import (
    AutoencoderConfig,
    ConditionConfig,
    GlyphConfig,
    PainterConfig,
    ScheduleConfig,
    SegmentWords,
    TransformerConfig,
)
from mingle.painter.sizes import BUCKETS, Size

RESOLUTION = 1024  # what the released processor and generate function ask for
TOKEN_LENGTH = 1000.0  # "text_encoder_norm": the length of Z-Image's own text features
MLP_DIM = 2048  # written into the released network
MAX_REFERENCES = 1  # the released code gives the transformer the first picture only

SEGMENT_WORDS = SegmentWords(
    # the wording with a colour is the Preview cookbook's, the others the 1.5 release's
    refer="please segment {phrase} using {colour} mask",
    refer_any=(
        "Given the following instructions: {phrase}; "
        "please perform referring segmentation on this image."
    ),
    classes="Please segment different classes in this image",
    instances="Please segment different instances in this image.",
    colours={
        "red": (255, 0, 0),
        "green": (0, 255, 0),
        "blue": (0, 0, 255),
        "purple": (128, 0, 255),
        "yellow": (255, 255, 0),
        "cyan": (0, 255, 255),
        "magenta": (255, 0, 255),
        "orange": (255, 128, 0),
    },
)


def read_config(raw: Mapping[str, Any]) -> PainterConfig:
    """Read the painter's files, keyed by folder: mlp, connector, transformer, vae, scheduler, byt5,
    byt5_model (the T5 config behind byt5); and two numbers, `thinker_dim` and `byt5_tokens` (see
    `read_byt5`). Raises ConfigError.
    """
    transformer = read_transformer(raw["transformer"])
    autoencoder = read_autoencoder(raw["vae"])
    condition = read_condition(
        raw["mlp"], raw["connector"], raw["thinker_dim"], transformer.token_dim
    )
    return PainterConfig(
        condition=condition,
        glyph=read_byt5(raw["byt5"], raw["byt5_model"], condition.dim, raw.get("byt5_tokens", 0))
        if "byt5" in raw
        else None,
        transformer=transformer,
        autoencoder=autoencoder,
        schedule=read_schedule(raw["scheduler"]),
        buckets=_placeable(transformer, autoencoder.factor),
        resolution=RESOLUTION,
        free_sizes=True,
        max_references=MAX_REFERENCES,
        segment=SEGMENT_WORDS,
    )


def read_condition(
    mlp: Mapping[str, Any], connector: Mapping[str, Any], thinker_dim: int, token_dim: int
) -> ConditionConfig:
    """Read `mlp/config.json` and `connector/config.json`."""
    fields = Fields(mlp, "mlp/config.json")
    fields.expect("dit_type", "zimage")  # without it: the Preview's other transformers
    if "dit_type" not in mlp:
        raise ConfigError("mlp/config.json has no dit_type, as in Preview; only zimage is known")
    dim = fields.take("diffusion_c_input_dim", int)
    identity = fields.take("use_identity_mlp", bool, False)
    if identity and dim != token_dim:
        raise ConfigError(
            f"diffusion_c_input_dim is {dim} in mlp/config.json, but the transformer's "
            f"cap_feat_dim is {token_dim} and use_identity_mlp leaves widths alone"
        )
    config = ConditionConfig(
        thinker_dim=thinker_dim,
        reads_pictures=True,
        skip_rows=0,
        query_place="thinker",
        query_scales=tuple(fields.take("img_gen_scales", list, [4, 8, 16])),
        connector=read_qwen2(connector, "connector/config.json", causal=False),
        dim=dim,
        scale=TOKEN_LENGTH if fields.take("text_encoder_norm", bool, False) else None,
        mlp_dim=None if identity else MLP_DIM,
        token_dim=token_dim,
    )
    fields.done()
    return config


def read_byt5(
    raw: Mapping[str, Any], t5: Mapping[str, Any], dim: int, num_tokens: int
) -> GlyphConfig:
    """Read `byt5/byt5.json` and the T5 config that it is built on.

    `num_tokens`: tokens for colours and fonts that were added behind T5's own. Text to be drawn
    never holds them, but the embedding table has their rows.
    """
    fields = Fields(raw, "byt5/byt5.json")
    fields.expect("byt5_mapper_type", "T5EncoderBlockByT5Mapper")
    fields.ignore("files that the weights replace; names of special tokens", "byt5_config")
    config = read_glyph(
        t5, fields.take("byt5_mapper_config", dict), fields.take("byt5_max_length", int), dim
    )
    fields.done()
    return replace(config, vocab_size=config.vocab_size + num_tokens)


def read_glyph(
    t5: Mapping[str, Any], mapper: Mapping[str, Any], max_length: int, dim: int
) -> GlyphConfig:
    """Read a T5 config and the mapper's two numbers; T5's own defaults stand in for absent keys."""
    mapping = Fields(mapper, "byt5_mapper_config")
    mapping.expect("sdxl_channels", dim)
    fields = Fields(t5, "the T5 config of byt5")
    feed_forward = fields.take("feed_forward_proj", str, "relu")
    if feed_forward not in ("gated-gelu", "relu"):
        raise ConfigError(
            f"feed_forward_proj is '{feed_forward}' in the T5 config of byt5, "
            "expected gated-gelu or relu"
        )
    config = GlyphConfig(
        vocab_size=fields.take("vocab_size", int),
        dim=fields.take("d_model", int, 512),
        head_dim=fields.take("d_kv", int, 64),
        num_heads=fields.take("num_heads", int, 8),
        inner_dim=fields.take("d_ff", int, 2048),
        num_layers=fields.take("num_layers", int, 6),
        num_mapper_layers=mapping.take("num_layers", int),
        num_buckets=fields.take("relative_attention_num_buckets", int, 32),
        max_distance=fields.take("relative_attention_max_distance", int, 128),
        norm_eps=fields.take("layer_norm_epsilon", float, 1e-6),
        feed_forward=feed_forward,
        max_length=max_length,
        capitals=False,
    )
    fields.expect("model_type", "t5")
    fields.expect("pad_token_id", 0)
    fields.expect("eos_token_id", 1)
    fields.ignore("follow from feed_forward_proj", "dense_act_fn", "is_gated_act")
    fields.ignore("dropout is off outside of training", "dropout_rate", "classifier_dropout")
    fields.ignore("the decoder is not used", "num_decoder_layers", "tie_word_embeddings")
    fields.ignore("generation options of a language model", *T5_UNUSED)
    for part in (mapping, fields):
        part.done()
    return config


def read_transformer(raw: Mapping[str, Any]) -> TransformerConfig:
    """Read `transformer/config.json`; Z-Image's own defaults stand in for absent keys."""
    fields = Fields(raw, "transformer/config.json")
    heads = fields.take("n_heads", int, 30)
    patch_sizes = fields.take("all_patch_size", list, [2])
    if len(patch_sizes) != 1:
        raise ConfigError(
            f"all_patch_size is {patch_sizes} in transformer/config.json, expected one size"
        )
    config = TransformerConfig(
        latent_channels=fields.take("in_channels", int, 16),
        patch_size=patch_sizes[0],
        dim=fields.take("dim", int, 3840),
        num_layers=fields.take("n_layers", int, 30),
        num_refiner_layers=fields.take("n_refiner_layers", int, 2),
        num_heads=heads,
        norm_eps=fields.take("norm_eps", float, 1e-5),
        token_dim=fields.take("cap_feat_dim", int, 2560),
        rope_theta=fields.take("rope_theta", float, 256.0),
        time_scale=fields.take("t_scale", float, 1000.0),
        token_multiple=32,
        axes_dims=_triple(fields, "axes_dims", [32, 48, 48]),
        axes_lens=_triple(fields, "axes_lens", [1024, 512, 512]),
    )
    fields.expect("all_f_patch_size", [1])
    fields.expect("n_kv_heads", heads)
    fields.expect("qk_norm", True)
    fields.expect("siglip_feat_dim", None)
    fields.ignore("about the file, not the model", *DIFFUSERS)
    fields.done()
    return config


def read_autoencoder(raw: Mapping[str, Any]) -> AutoencoderConfig:
    """Read `vae/config.json`; AutoencoderKL's own defaults stand in for absent keys."""
    fields = Fields(raw, "vae/config.json")
    channels = tuple(fields.take("block_out_channels", list, [64]))
    config = AutoencoderConfig(
        pixel_patch=1,
        channels=channels,
        layers_per_level=fields.take("layers_per_block", int, 1),
        latent_channels=fields.take("latent_channels", int, 4),
        norm_groups=fields.take("norm_num_groups", int, 32),
        scale=fields.take("scaling_factor", float, 0.18215),
        shift=float(fields.take("shift_factor", float | int | None, None) or 0),
        mid_attention=fields.take("mid_block_add_attention", bool, True),
        quant_conv=fields.take("use_quant_conv", bool, True),
        post_quant_conv=fields.take("use_post_quant_conv", bool, True),
    )
    fields.expect("in_channels", 3)
    fields.expect("out_channels", 3)
    fields.expect("act_fn", "silu")
    fields.expect("down_block_types", ["DownEncoderBlock2D"] * len(channels))
    fields.expect("up_block_types", ["UpDecoderBlock2D"] * len(channels))
    fields.expect("latents_mean", None)
    fields.expect("latents_std", None)
    fields.ignore("the dtype is given at load time; pictures are not tiled", *VAE_UNUSED)
    fields.ignore("about the file, not the model", *DIFFUSERS)
    fields.done()
    return config


def read_schedule(raw: Mapping[str, Any]) -> ScheduleConfig:
    """Read `scheduler/scheduler_config.json`.

    The released pipeline tries to force a dynamic shift and fails to: this file decides.
    (SPEC_GENERATION B3)
    """
    fields = Fields(raw, "scheduler/scheduler_config.json")
    config = ScheduleConfig(
        shift=fields.take("shift", float, 1.0),
        dynamic=fields.take("use_dynamic_shifting", bool, False),
        base_tokens=fields.take("base_image_seq_len", int, 256),
        max_tokens=fields.take("max_image_seq_len", int, 4096),
        base_shift=fields.take("base_shift", float, 0.5),
        max_shift=fields.take("max_shift", float, 1.15),
    )
    fields.expect("num_train_timesteps", 1000)
    fields.expect("time_shift_type", "exponential")
    fields.expect("shift_terminal", None)
    for switch in SCHEDULE_SWITCHES:
        fields.expect(switch, False, None)
    fields.ignore("the released pipeline sets it to 0 itself", "sigma_min")
    fields.ignore("about the file, not the model", *DIFFUSERS)
    fields.done()
    return config


def _placeable(transformer: TransformerConfig, factor: int) -> dict[int, tuple[Size, ...]]:
    """The released canvases that the transformer has positions for; for a small one its largest."""
    longest = min(transformer.axes_lens[1:]) * transformer.patch_size * factor
    fitting = {
        resolution: tuple(size for size in sizes if max(size) <= longest)
        for resolution, sizes in BUCKETS.items()
    }
    placeable = {resolution: sizes for resolution, sizes in fitting.items() if sizes}
    return placeable or {longest: ((longest, longest),)}


def _triple(fields: Fields, key: str, default: list[int]) -> tuple[int, int, int]:
    values = fields.take(key, list, default)
    if len(values) != 3:
        raise ConfigError(f"{key} is {values} in {fields.where}, expected three numbers")
    return values[0], values[1], values[2]


DIFFUSERS = ("_class_name", "_diffusers_version", "_name_or_path")
VAE_UNUSED = ("sample_size", "force_upcast")
SCHEDULE_SWITCHES = (
    "invert_sigmas",
    "stochastic_sampling",
    "use_beta_sigmas",
    "use_exponential_sigmas",
    "use_karras_sigmas",
)
T5_UNUSED = tuple(
    """
    _attn_implementation_autoset _name_or_path add_cross_attention architectures bad_words_ids
    begin_suppress_tokens bos_token_id chunk_size_feed_forward cross_attention_hidden_size
    decoder_start_token_id diversity_penalty do_sample dtype early_stopping
    encoder_no_repeat_ngram_size exponential_decay_length_penalty finetuning_task
    forced_bos_token_id forced_eos_token_id gradient_checkpointing id2label initializer_factor
    is_decoder is_encoder_decoder label2id length_penalty max_length min_length n_positions
    no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_attentions
    output_hidden_states output_past output_scores prefix problem_type pruned_heads
    remove_invalid_values repetition_penalty return_dict return_dict_in_generate
    scalable_attention sep_token_id suppress_tokens task_specific_params temperature tf_legacy_loss
    tie_encoder_decoder tokenizer_class top_k top_p torch_dtype torchscript transformers_version
    typical_p use_bfloat16 use_cache
    """.split()
)
