"""What a thinker is made of: sizes and switches, fixed by its weights."""

from dataclasses import dataclass
from typing import Literal

from mingle.errors import ConfigError
from mingle.messages import Modality
from mingle.nn.attention import Mask
from mingle.nn.moe import Choice
from mingle.nn.transformer import AttentionConfig

Axes = Literal["video_rope", "3d"]


@dataclass(frozen=True, kw_only=True)
class RopeConfig:
    """Rotary positions on three axes (time, height, width).

    `sections` counts the frequencies of each axis; together they are half of `rotary_dim`. Axes
    "3d" gives the highest frequencies to time, then height, then width. "video_rope" gives the
    lowest to time, and the rest to height and width in turn. Text has one number on all three
    axes, for which both are ordinary rotary positions.
    """

    theta: float
    rotary_dim: int
    axes: Axes
    sections: tuple[int, int, int]

    def __post_init__(self):
        time, height, width = self.sections
        if 2 * (time + height + width) != self.rotary_dim:
            raise ConfigError(
                f"rope sections {self.sections} fill {2 * sum(self.sections)} channels, but "
                f"{self.rotary_dim} rotate; they must be equal"
            )
        if self.axes == "video_rope" and height != width:
            raise ConfigError(f"rope sections {self.sections}: height and width must be equal")

    @property
    def axis_of_pair(self) -> tuple[int, ...]:
        """Which axis (0 time, 1 height, 2 width) turns each channel pair, highest first."""
        time, height, width = self.sections
        if self.axes == "3d":
            return (0,) * time + (1,) * height + (2,) * width
        return (1, 2) * height + (0,) * time


@dataclass(frozen=True, kw_only=True)
class SparseConfig:
    """The expert layers: which layers they are, their experts, and who has a router of its own.

    Tokens of a modality that is not among `routers` use the router of text. `shared_dim` is the
    inner width of the expert that every token uses.
    """

    layers: tuple[int, ...]
    num_experts: int
    expert_dim: int
    shared_dim: int
    choice: Choice
    routers: tuple[Modality, ...]

    def __post_init__(self):
        choice = self.choice
        if Modality.TEXT not in self.routers:
            raise ConfigError(f"routers {self.routers} lack one for text; text is always needed")
        if self.num_experts % choice.num_groups or choice.top_groups > choice.num_groups:
            raise ConfigError(
                f"{self.num_experts} experts in {choice.num_groups} groups of which "
                f"{choice.top_groups} are kept; groups must be equal and kept ones among them"
            )
        if choice.top_k > self.num_experts // choice.num_groups * choice.top_groups:
            raise ConfigError(
                f"top_k {choice.top_k} is more than the experts of {choice.top_groups} groups"
            )


@dataclass(frozen=True, kw_only=True)
class ThinkerConfig:
    """One thinker. Layers that are not in `sparse.layers` are dense, `dense_dim` wide inside.

    `output_size`: logits cover the first so many tokens of the vocabulary; the rest are only read
    (the media tokens of a model that cannot say them). It is `vocab_size` when all can be said.
    """

    vocab_size: int
    output_size: int
    dim: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    dense_dim: int
    norm_eps: float
    qk_norm: bool
    tied_embeddings: bool
    max_positions: int
    rope: RopeConfig
    sparse: SparseConfig | None

    def __post_init__(self):
        if not 0 < self.output_size <= self.vocab_size:
            raise ConfigError(
                f"output_size {self.output_size} is not within the vocabulary of {self.vocab_size}"
            )
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"{self.num_heads} heads do not share {self.num_kv_heads} key heads evenly"
            )
        if self.rope.rotary_dim > self.head_dim:
            raise ConfigError(
                f"{self.rope.rotary_dim} channels of a head rotate, but it has {self.head_dim}"
            )
        if self.sparse is not None and not set(self.sparse.layers) <= set(range(self.num_layers)):
            raise ConfigError(
                f"expert layers {self.sparse.layers} are not all among {self.num_layers} layers"
            )

    @property
    def attention(self) -> AttentionConfig:
        """What every layer's attention needs to know."""
        return AttentionConfig(
            dim=self.dim,
            num_heads=self.num_heads,
            num_kv_heads=self.num_kv_heads,
            head_dim=self.head_dim,
            qkv_bias=False,
            qk_norm_eps=self.norm_eps if self.qk_norm else None,
            mask=Mask(causal=True),
        )
