"""`config.json` of nano: its thinker, its media tokens, how it samples; read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.checkpoints.nano.base import BASE
from mingle.errors import ConfigError
from mingle.messages import Modality, SamplingOptions
from mingle.nn.moe import Choice
from mingle.thinker.config import RopeConfig, SparseConfig, ThinkerConfig


@dataclass(frozen=True, kw_only=True)
class NanoConfig:
    """nano's language side: a thinker, and how the parts that the base lacks begin.

    `text_experts`: the first so many experts serve text alone, and text uses no others. While
    they are silent text answers exactly as the base does, whatever the other experts learn.
    `about_media_experts`: the last so many serve text that stands behind media, in the same way.
    Pictures and sound share those between.
    `additions`: whether training added something, which then lies in `thinker.safetensors`.
    """

    thinker: ThinkerConfig
    additions: bool
    text_experts: int
    about_media_experts: int
    seed: int
    media_tokens: tuple[str, ...]


def read_config(raw: Any) -> NanoConfig:
    """Read `config.json`. Raises ConfigError for keys or values that are not known."""
    fields = Fields(raw, "config.json of nano")
    fields.expect("family", "nano")
    fields.expect("base", BASE.name)
    fields.take("sampling", dict)  # read by `read_sampling`
    media_tokens = tuple(fields.take("media_tokens", list))
    thinker = Fields(fields.take("thinker", dict), "thinker in config.json of nano")
    config = NanoConfig(
        additions=fields.take("additions", bool),
        text_experts=thinker.take("text_experts", int),
        about_media_experts=thinker.take("about_media_experts", int),
        seed=thinker.take("seed", int),
        thinker=_read_thinker(thinker, len(media_tokens)),
        media_tokens=media_tokens,
    )
    fields.done()
    _check_own_experts(config)
    return config


def read_sampling(raw: Mapping[str, Any]) -> SamplingOptions:
    """The sampling that suits nano where the user names none."""
    fields = Fields(raw["sampling"], "sampling in config.json of nano")
    options = SamplingOptions(
        temperature=fields.take("temperature", float),
        top_p=fields.take("top_p", float),
        repetition_penalty=fields.take("repetition_penalty", float),
    )
    fields.done()
    return options


def _read_thinker(fields: Fields, num_media_tokens: int) -> ThinkerConfig:
    """The base says its own tokens; the media tokens behind them are only read."""
    base_vocab = fields.take("vocab_size", int)
    head_dim = fields.take("head_dim", int)
    config = ThinkerConfig(
        vocab_size=base_vocab + num_media_tokens,
        output_size=base_vocab,
        dim=fields.take("dim", int),
        num_layers=fields.take("num_layers", int),
        num_heads=fields.take("num_heads", int),
        num_kv_heads=fields.take("num_kv_heads", int),
        head_dim=head_dim,
        dense_dim=fields.take("dense_dim", int),
        norm_eps=fields.take("norm_eps", float),
        qk_norm=False,
        tied_embeddings=True,
        max_positions=fields.take("max_positions", int),
        rope=RopeConfig(
            theta=fields.take("rope_theta", float),
            rotary_dim=head_dim,
            axes="video_rope",
            sections=tuple(fields.take("rope_sections", list)),
        ),
        sparse=_read_sparse(Fields(fields.take("experts", dict), "experts in config.json of nano")),
    )
    fields.done()
    return config


def _read_sparse(fields: Fields) -> SparseConfig:
    sparse = SparseConfig(
        layers=tuple(fields.take("layers", list)),
        num_experts=fields.take("num_experts", int),
        expert_dim=fields.take("expert_dim", int),
        shared_dim=fields.take("shared_dim", int),
        choice=Choice(
            top_k=fields.take("top_k", int),
            num_groups=fields.take("num_groups", int),
            top_groups=fields.take("top_groups", int),
            scale=fields.take("scale", float),
        ),
        routers=tuple(Modality),
    )
    fields.done()
    return sparse


def _check_own_experts(config: NanoConfig) -> None:
    sparse = config.thinker.sparse
    assert sparse is not None
    choice, count = sparse.choice, sparse.num_experts
    own = {"text": config.text_experts, "about_media": config.about_media_experts}
    shared = count - sum(own.values())
    for name, number in {**own, "media": shared}.items():
        if number < choice.top_k:
            raise ConfigError(
                f"{number} of the {count} experts are for {name} (text_experts is {own['text']}, "
                f"about_media_experts {own['about_media']}); each needs top_k = {choice.top_k}"
            )
    for name, number in own.items():
        if choice.top_groups < choice.num_groups and number % (count // choice.num_groups):
            raise ConfigError(
                f"{number} experts are for {name}; they must fill whole groups of "
                f"{count // choice.num_groups} experts"
            )
