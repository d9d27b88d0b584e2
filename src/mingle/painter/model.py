"""The painter: hidden states of the thinker -> condition, and the velocity of a noisy picture."""

import logging
import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.errors import ConfigError
from mingle.painter import backbones
from mingle.painter.condition import Connector, Finish
from mingle.painter.config import PainterConfig
from mingle.painter.glyphs import BEFORE, BEHIND, GlyphEncoder, byte_ids

logger = logging.getLogger(__name__)

Tokens = Float[Tensor, "_ condition_dim"]
SURE = 1.0  # logit: what changes and is kept is worse than what stays and is painted


class Painter(nn.Module):
    """Everything that paints, differentiable throughout: condition, velocity, encode, decode.

    `queries` are the rows that the thinker reads behind its prompt, one tensor for each scale.
    """

    def __init__(self, config: PainterConfig):
        super().__init__()
        self.config = config
        condition = config.condition
        _check_places(config)
        _check_reference(config)
        in_prompt = condition.query_scales if condition.query_place == "thinker" else ()
        dim = condition.thinker_dim
        self.queries = nn.ParameterList(torch.randn(s**2, dim) * dim**-0.5 for s in in_prompt)
        self.connector = Connector(condition)
        read_by = condition.connector.dim if condition.places else condition.dim
        self.glyphs = GlyphEncoder(config.glyph, read_by) if config.glyph else None
        self.finish = Finish(condition)
        latents = config.transformer.patch_size**2  # of a place
        self.keep = nn.Linear(condition.dim, latents) if condition.keeps else None
        self.transformer = backbones.build_transformer(config.transformer, condition.places)
        self.autoencoder = backbones.build_autoencoder(config.autoencoder)

    def condition(
        self,
        hidden: Sequence[Float[Tensor, "_ thinker_dim"]],
        glyph_texts: Sequence[str],
        seen: Sequence[Float[Tensor, "places sight_dim"] | None] | None = None,
    ) -> list[Tokens]:
        """Condition tokens of each picture, before `finish`: unit length, or zero where padded.

        `hidden`: the thinker's final states at the last scale's queries (or of the whole prompt,
        when queries stand in the connector). `glyph_texts`: what `glyphs.glyph_text` gives; ""
        leaves the branch off. `seen`: for a condition that sees pictures, what the eyes make of
        each picture to edit (None: there is none). Raises ConfigError when text is to be drawn
        without a glyph encoder.
        """
        glyphs = self._glyphs(glyph_texts)
        if self.config.condition.places:
            nothing = hidden[0].new_zeros(0, self.config.condition.connector.dim)
            spelt = [glyphs.get(i, nothing) for i in range(len(hidden))]
            room = 2 * math.isqrt(self.config.condition.places)  # letters in a line
            texts = zip(spelt, glyph_texts, strict=True)
            return self.connector(hidden, [_letters(*one, room) for one in texts], seen)
        tokens = self.connector(hidden)
        for index, rows in glyphs.items():
            tokens[index] = torch.cat((tokens[index], rows))
        return tokens

    def _glyphs(self, texts: Sequence[str]) -> dict[int, Float[Tensor, "_ dim"]]:
        """Rows of text to be drawn, by the picture's number; pictures without text have none."""
        drawn = [index for index, text in enumerate(texts) if text]
        if not drawn:
            return {}
        if self.glyphs is None:
            raise ConfigError(
                "this painter has no glyph encoder, so it cannot draw quoted text; "
                "leave out --text and the quotation marks"
            )
        ids, mask = byte_ids([texts[i] for i in drawn], self.glyphs.max_length)
        device = self.connector.proj_in.weight.device
        return dict(zip(drawn, self.glyphs(ids.to(device), mask.to(device)), strict=True))

    def keep_logits(
        self, conditions: Sequence[Tokens]
    ) -> Float[Tensor, "batch rows columns"] | None:
        """Logits: does the edit leave this latent as it is? None where the places do not say so."""
        if self.keep is None:
            return None
        config = self.config.condition
        told = torch.stack([tokens[: config.places] for tokens in conditions])
        said = self.keep(told * config.dim**0.5)  # the tokens have unit length
        grid = said.mT.unflatten(-1, (math.isqrt(config.places), -1))
        return F.pixel_shuffle(grid, self.config.transformer.patch_size)[:, 0]

    def kept(self, conditions: Sequence[Tokens]) -> Bool[Tensor, "batch rows columns"] | None:
        """Which latents of the picture to edit stay; where that is not sure, they do not."""
        said = self.keep_logits(conditions)
        return None if said is None else said > SURE

    def velocity(
        self,
        latents: Float[Tensor, "batch channels rows columns"],
        t: Float[Tensor, " batch"],
        conditions: Sequence[Tokens],
        references: Float[Tensor, "batch channels frames rows columns"] | None = None,
    ) -> Float[Tensor, "batch channels rows columns"]:
        """d latents / d t at time t, from 0 (noise) to 1 (picture); conditions passed `finish`."""
        return backbones.velocity(self.transformer, latents, t, conditions, references)

    def encode(
        self, pixels: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Pixels in [-1, 1] -> latents, as a reference or as what training aims at."""
        return backbones.encode(self.autoencoder, pixels)

    def decode(
        self, latents: Float[Tensor, "batch channels rows columns"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Latents -> pixels around [-1, 1], not clamped."""
        return backbones.decode(self.autoencoder, latents)


def _letters(rows: Float[Tensor, "_ dim"], text: str, room: int) -> Float[Tensor, "_ dim"]:
    """The rows of the text itself, without the words around it and what it is filled up with."""
    end = len(text.encode()) - len(BEHIND)
    if (length := end - len(BEFORE)) > room:
        logger.warning("text to draw has %d bytes, only the first %d have room", length, room)
    return rows[len(BEFORE) : end][:room]


def _check_places(config: PainterConfig) -> None:
    """Raise ConfigError unless every canvas has as many tokens as the condition has places."""
    if not (places := config.condition.places):
        return
    for height, width in (size for sizes in config.buckets.values() for size in sizes):
        tokens = height * width // config.pixel_multiple**2
        if tokens != places or config.free_sizes:
            raise ConfigError(
                f"the painter's condition has {places} places and a canvas of {width}x{height} has "
                f"{tokens} tokens; they must be equal, on all canvases, without free sizes"
            )


def _check_reference(config: PainterConfig) -> None:
    """Raise ConfigError where one picture to edit is asked for and there may be more, or none."""
    condition = config.condition
    if condition.sight_dim and not condition.places:
        raise ConfigError("the painter's condition sees pictures, but has no places to tell")
    if condition.keeps and not condition.places:
        raise ConfigError("the painter's condition keeps latents, but has no places to say which")
    one = condition.sight_dim or condition.keeps or config.transformer.references == "beneath"
    if one and config.max_references != 1:
        raise ConfigError(
            f"max_references is {config.max_references}; expected 1 where the picture to edit lies "
            "beneath the painted one, or is seen or kept place by place"
        )
