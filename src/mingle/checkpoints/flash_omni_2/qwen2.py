"""The Qwen2 decoder, which several parts of the family are built on: config and tensor names."""

from collections.abc import Mapping
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2.ignored import ignore_defaults
from mingle.checkpoints.mapping import Join, Rename, Rule
from mingle.nn.transformer import DecoderConfig

DEFAULT_MAX_WINDOW_LAYERS = 28  # transformers' Qwen2Config
DEFAULT_WINDOW = 4096  # the same


def read_qwen2(
    raw: Mapping[str, Any], where: str, *, causal: bool = True, max_layers: int | None = None
) -> DecoderConfig:
    """Read a Qwen2 config; `max_layers` keeps only the first layers. Raises ConfigError."""
    fields = Fields(raw, where)
    layers = fields.take("num_hidden_layers", int)
    heads = fields.take("num_attention_heads", int)
    dim = fields.take("hidden_size", int)
    windows = _windows(fields, layers)
    config = DecoderConfig(
        num_layers=min(layers, max_layers or layers),
        dim=dim,
        num_heads=heads,
        num_kv_heads=fields.take("num_key_value_heads", int, heads),
        head_dim=fields.take("head_dim", int | None, None) or dim // heads,
        inner_dim=fields.take("intermediate_size", int),
        norm_eps=fields.take("rms_norm_eps", float, 1e-6),
        rope_theta=_rope_theta(fields),
        qkv_bias=True,
        causal=causal,
        windows=windows[: max_layers or layers],
    )
    fields.take("vocab_size", int, None)  # read by who owns the embedding table
    fields.expect("hidden_act", "silu")
    fields.expect("model_type", "qwen2")
    fields.expect("rope_scaling", None)
    fields.ignore("dropout is off outside of training", "attention_dropout")
    fields.ignore("positions are not tabulated", "max_position_embeddings")
    fields.ignore("the attention is ours", "_attn_implementation", "attn_implementation")
    fields.ignore("about training", "initializer_range", "use_mrope")
    ignore_defaults(fields)
    fields.done()
    return config


def decoder_rules(config: DecoderConfig, theirs: str, ours: str) -> tuple[Rule, ...]:
    """Names of one decoder's layers and final norm (its embedding table is its owner's)."""
    layers = range(config.num_layers)
    return (
        *(rule for i in layers for rule in _layer_rules(config, f"{theirs}layers.{i}.", ours, i)),
        Rename(f"{theirs}norm.weight", f"{ours}norm.weight"),
    )


def _layer_rules(config: DecoderConfig, theirs: str, ours: str, i: int) -> tuple[Rule, ...]:
    ours = f"{ours}layers.{i}."
    sizes = (config.num_heads, config.num_kv_heads, config.num_kv_heads)
    kinds = ("weight", "bias") if config.qkv_bias else ("weight",)
    projections = [
        Join(
            tuple(f"{theirs}self_attn.{name}_proj.{kind}" for name in "qkv"),
            f"{ours}attention.qkv.{kind}",
            sizes,
        )
        for kind in kinds
    ]
    gate_up = tuple(f"{theirs}mlp.{name}_proj.weight" for name in ("gate", "up"))
    return (
        Rename(f"{theirs}input_layernorm.weight", f"{ours}attention_norm.weight"),
        *projections,
        Rename(f"{theirs}self_attn.o_proj.weight", f"{ours}attention.out.weight"),
        Rename(f"{theirs}post_attention_layernorm.weight", f"{ours}feed_forward_norm.weight"),
        Join(gate_up, f"{ours}feed_forward.gate_up.weight", (1, 1)),
        Rename(f"{theirs}mlp.down_proj.weight", f"{ours}feed_forward.down.weight"),
    )


def _windows(fields: Fields, layers: int) -> tuple[int | None, ...]:
    """Which layers slide: those from `max_window_layers` on, if windows are used at all."""
    used = fields.take("use_sliding_window", bool, False)
    window = fields.take("sliding_window", int | None, DEFAULT_WINDOW)
    first = fields.take("max_window_layers", int, DEFAULT_MAX_WINDOW_LAYERS)
    kinds = fields.take("layer_types", list | None, None)
    if kinds is None:
        kinds = ["sliding_attention" if i >= first else "full_attention" for i in range(layers)]
    return tuple(window if used and kind == "sliding_attention" else None for kind in kinds)


def _rope_theta(fields: Fields) -> float:
    """transformers 5 keeps the base in `rope_parameters`, earlier ones beside the rest."""
    parameters = Fields(fields.take("rope_parameters", dict | None, None) or {}, fields.where)
    parameters.expect("rope_type", "default")
    theta = parameters.take("rope_theta", float, None)
    parameters.done()
    return theta or fields.take("rope_theta", float, 10000.0)
