"""The thinker of the family: `llm_config` of config.json, and names in the root shards."""

from collections.abc import Mapping
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2.ignored import ignore_defaults
from mingle.checkpoints.mapping import Ignore, Join, Rename, Rule, Stack
from mingle.errors import ConfigError
from mingle.messages import Modality
from mingle.nn.moe import Choice
from mingle.thinker.config import Axes, RopeConfig, SparseConfig, ThinkerConfig
from mingle.thinker.model import Thinker

AXES: Mapping[str, Axes] = {"video_rope": "video_rope", "3D": "3d"}
"""rope_scaling.type -> our name."""

SECTIONS = (8, 12, 12)  # time, height, width; fixed in the released code, whatever a config says
DEFAULT_SCALE = 2.5  # of the released code, under another name than the one in config.json

GATES = {Modality.TEXT: "gate", Modality.IMAGE: "image_gate", Modality.AUDIO: "audio_gate"}
"""Which official router is whose."""


def read_config(raw: Mapping[str, Any]) -> ThinkerConfig:
    """Read `llm_config` of config.json. Raises ConfigError for keys or values we do not know."""
    fields = Fields(raw.get("llm_config"), "llm_config of config.json")
    heads, dim = fields.take("num_attention_heads", int), fields.take("hidden_size", int)
    layers = fields.take("num_hidden_layers", int)
    head_dim = fields.take("head_dim", int | None, None) or dim // heads
    vocab_size = fields.take("vocab_size", int)
    config = ThinkerConfig(
        vocab_size=vocab_size,
        output_size=vocab_size,
        dim=dim,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=fields.take("num_key_value_heads", int),
        head_dim=head_dim,
        dense_dim=fields.take("intermediate_size", int),
        norm_eps=fields.take("rms_norm_eps", float),
        qk_norm=True,  # the released code ignores use_qk_norm
        tied_embeddings=fields.take("tie_word_embeddings", bool),
        max_positions=fields.take("max_position_embeddings", int),
        rope=_read_rope(fields, head_dim),
        sparse=_read_sparse(fields, layers),
    )
    _refuse_and_ignore(fields)
    return config


def build(config: ThinkerConfig) -> Thinker:
    """The module, with untrained parameters."""
    return Thinker(config)


def rules(config: ThinkerConfig) -> tuple[Rule, ...]:
    """Names in the root shards."""
    head: Rule = (
        Ignore("model.lm_head.weight", "tied: it is the embedding")
        if config.tied_embeddings
        else Rename("model.lm_head.weight", "head.weight")
    )
    return (
        Rename("model.model.word_embeddings.weight", "embedding.weight"),
        *(rule for i in range(config.num_layers) for rule in _layer_rules(config, i)),
        Rename("model.model.norm.weight", "norm.weight"),
        head,
    )


def _layer_rules(config: ThinkerConfig, i: int) -> tuple[Rule, ...]:
    theirs, ours = f"model.model.layers.{i}.", f"layers.{i}."
    if config.sparse is not None and i in config.sparse.layers:
        feed_forward = _sparse_rules(config.sparse, f"{theirs}mlp.", f"{ours}feed_forward.")
    else:
        feed_forward = _gated_rules(f"{theirs}mlp.", f"{ours}feed_forward.shared.")
    return (
        Rename(f"{theirs}input_layernorm.weight", f"{ours}attention_norm.weight"),
        Rename(f"{theirs}attention.query_key_value.weight", f"{ours}attention.qkv.weight"),
        Rename(f"{theirs}attention.q_norm.weight", f"{ours}attention.norm.query"),
        Rename(f"{theirs}attention.k_norm.weight", f"{ours}attention.norm.key"),
        Rename(f"{theirs}attention.dense.weight", f"{ours}attention.out.weight"),
        Rename(f"{theirs}post_attention_layernorm.weight", f"{ours}feed_forward_norm.weight"),
        *feed_forward,
    )


def _sparse_rules(config: SparseConfig, theirs: str, ours: str) -> tuple[Rule, ...]:
    expert, count = f"{theirs}experts.{{e}}.", config.num_experts
    pair = (f"{expert}gate_proj.weight", f"{expert}up_proj.weight")
    names = [(GATES[kind], kind.name.lower()) for kind in config.routers]
    biases = [
        Rename(f"{theirs}{gate}.expert_bias", f"{ours}routers.{name}.selection_bias")
        for gate, name in names
    ]
    return (
        *(Rename(f"{theirs}{gate}.weight", f"{ours}routers.{name}.weight") for gate, name in names),
        *biases,
        Stack(pair, f"{ours}experts.gate_up", count=count),
        Stack(f"{expert}down_proj.weight", f"{ours}experts.down", count=count),
        *_gated_rules(f"{theirs}shared_experts.", f"{ours}shared."),
    )


def _gated_rules(theirs: str, ours: str) -> tuple[Rule, ...]:
    pair = (f"{theirs}gate_proj.weight", f"{theirs}up_proj.weight")
    return (
        Join(pair, f"{ours}gate_up.weight", (1, 1)),
        Rename(f"{theirs}down_proj.weight", f"{ours}down.weight"),
    )


def _read_rope(fields: Fields, head_dim: int) -> RopeConfig:
    scaling = Fields(fields.take("rope_scaling", dict), "rope_scaling of config.json")
    scaling.expect("type", *AXES)
    kind = scaling.take("type", str)
    scaling.expect("rope_type", kind)  # the same, as newer libraries write it
    scaling.expect("factor", None)
    scaling.ignore("the released code has its own sections", "mrope_section")
    scaling.done()
    return RopeConfig(
        theta=fields.take("rope_theta", float),
        rotary_dim=int(head_dim * fields.take("partial_rotary_factor", float)),
        axes=AXES[kind],
        sections=SECTIONS,
    )


def _read_sparse(fields: Fields, num_layers: int) -> SparseConfig:
    expert_dim = fields.take("moe_intermediate_size", int)
    return SparseConfig(
        layers=tuple(range(fields.take("first_k_dense_replace", int), num_layers)),
        num_experts=fields.take("num_experts", int),
        expert_dim=expert_dim,
        shared_dim=expert_dim * fields.take("num_shared_experts", int),
        choice=Choice(
            top_k=fields.take("num_experts_per_tok", int),
            num_groups=fields.take("n_group", int),
            top_groups=fields.take("topk_group", int),
            scale=fields.take("routed_scaling_factor", float, DEFAULT_SCALE),
        ),
        routers=_read_routers(fields),
    )


def _read_routers(fields: Fields) -> tuple[Modality, ...]:
    kind = fields.take("router_type", str)
    if kind == "MultiRouter":
        return tuple(GATES)
    if kind == "topN":
        return (Modality.TEXT,)
    raise ConfigError(
        f"router_type in {fields.where} is {kind!r}, expected 'MultiRouter' or 'topN'"
    )


def _refuse_and_ignore(fields: Fields) -> None:
    fields.expect("model_type", "bailing_moe_v2")
    fields.expect("hidden_act", "silu")
    for key in ("use_bias", "use_qkv_bias", "norm_head", "norm_softmax", "output_router_logits"):
        fields.expect(key, False)
    for key in ("attention_dropout", "embedding_dropout", "output_dropout"):
        fields.expect(key, 0.0)
    fields.ignore("always on in the released code", "use_qk_norm", "use_expert_bias")
    fields.ignore("always on in the released code", "norm_topk_prob")
    fields.ignore("the released code reads routed_scaling_factor", "moe_router_topk_scaling_factor")
    fields.ignore("the tokenizer's", "eos_token_id", "pad_token_id", "image_patch_token")
    fields.ignore("the tokenizer's", "video_patch_token", "image_start_token", "video_start_token")
    fields.ignore("films always come with time stamps", "use_interleaved_frame_timestamp")
    fields.ignore("how training began", "initializer_range", "pretraining_tp")
    ignore_defaults(fields)
    fields.done()
