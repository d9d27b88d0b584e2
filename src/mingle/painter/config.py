"""What fixes a painter: sizes and switches, as its weights demand them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mingle.nn.transformer import DecoderConfig

Rgb = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class ConditionConfig:
    """From the thinker's width to condition tokens of width `dim`.

    Queries stand in the thinker's prompt, or in the connector's input; or there are none, and every
    row of the prompt becomes a token ("prompt"). The first `skip_rows` of a prompt are left out:
    its opening, which is the same for all. Without `reads_pictures` the thinker reads the words
    alone: of a picture to edit it is the transformer that sees the latents. `scale` is the length
    that tokens are brought to (None: left as they are); `mlp_dim` the inner width of the network
    that makes them `token_dim` wide (None: there is none, `dim` is `token_dim`). `standardised`:
    the connector sees how the thinker's states differ from their mean, in units of their spread.
    `places`: so many more queries stand in the connector, one for each token of the picture; what
    becomes of them is added to these tokens (0: none). Then it is they who are told letters to be
    drawn, and not the transformer. They are told, too, what the eyes make of the picture to edit,
    `sight_dim` numbers for each place (0: nothing): the eyes' patches before they are merged.
    With `keeps` they also say which of their latents an edit leaves as they are.
    """

    thinker_dim: int
    reads_pictures: bool
    skip_rows: int
    query_place: Literal["thinker", "connector", "prompt"]
    query_scales: tuple[int, ...]
    connector: DecoderConfig
    dim: int
    scale: float | None
    mlp_dim: int | None
    token_dim: int
    standardised: bool = False
    places: int = 0
    sight_dim: int = 0
    keeps: bool = False

    @property
    def num_queries(self) -> int:
        """Condition tokens that come from the thinker: those of the last scale."""
        return 0 if self.query_place == "prompt" else self.query_scales[-1] ** 2


@dataclass(frozen=True, kw_only=True)
class GlyphConfig:
    """The encoder of text to be drawn: T5 blocks over bytes, then a mapper of more T5 blocks.

    Text is padded to `max_length`; the transformer sees the zero rows of the padding. `capitals`:
    it was taught the letters A to Z alone, so text that is to be drawn is brought to them.
    """

    vocab_size: int
    dim: int
    head_dim: int
    num_heads: int
    inner_dim: int
    num_layers: int
    num_mapper_layers: int
    num_buckets: int
    max_distance: int
    norm_eps: float
    feed_forward: Literal["gated-gelu", "relu"]
    max_length: int
    capitals: bool


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The diffusion transformer (Z-Image). `axes_lens` bounds positions: tokens, rows, columns.

    Condition and picture are each filled up to a multiple of `token_multiple` tokens. References
    stand behind the picture as more tokens, or the only one lies beneath it, added to its tokens.
    """

    latent_channels: int
    patch_size: int
    dim: int
    num_layers: int
    num_refiner_layers: int
    num_heads: int
    norm_eps: float
    token_dim: int
    rope_theta: float
    time_scale: float
    token_multiple: int
    axes_dims: tuple[int, int, int]
    axes_lens: tuple[int, int, int]
    references: Literal["behind", "beneath"] = "behind"


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Pixels <-> latents (AutoencoderKL). Every level but the last halves height and width.

    Its first and last layers see squares of `pixel_patch` pixels a side as one place (1: pixels).
    The transformer works on (latent - shift) * scale.
    """

    pixel_patch: int
    channels: tuple[int, ...]
    layers_per_level: int
    latent_channels: int
    norm_groups: int
    scale: float
    shift: float
    mid_attention: bool
    quant_conv: bool
    post_quant_conv: bool

    @property
    def factor(self) -> int:
        """Pixels per latent, along each side."""
        return self.pixel_patch * 2 ** (len(self.channels) - 1)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How noise levels are spread. A dynamic shift grows with the number of image tokens."""

    shift: float
    dynamic: bool
    base_tokens: int
    max_tokens: int
    base_shift: float
    max_shift: float


@dataclass(frozen=True, kw_only=True)
class SegmentWords:
    """How the model was taught to segment: what is said to it, and the colours it paints with.

    `refer` holds {phrase} and {colour}, `refer_any` holds {phrase} and leaves the colour to the
    model. None is what it was not taught.
    """

    refer: str
    refer_any: str | None
    classes: str | None
    instances: str | None
    colours: Mapping[str, Rgb]


@dataclass(frozen=True, kw_only=True)
class PainterConfig:
    """One painter."""

    condition: ConditionConfig
    glyph: GlyphConfig | None
    transformer: TransformerConfig
    autoencoder: AutoencoderConfig
    schedule: ScheduleConfig
    buckets: Mapping[int, tuple[tuple[int, int], ...]]
    """Canvases (height, width) in pixels that the model was trained on, by resolution."""
    resolution: int
    """Which of them are used unless a request says otherwise."""
    free_sizes: bool
    """Whether it paints sizes between its canvases, too; if not, the nearest is painted, and made
    larger or smaller."""
    max_references: int
    """How many pictures the transformer may see beside the noise; others reach the thinker only."""
    segment: SegmentWords

    @property
    def pixel_multiple(self) -> int:
        """Heights and widths of a canvas are multiples of this."""
        return self.autoencoder.factor * self.transformer.patch_size
