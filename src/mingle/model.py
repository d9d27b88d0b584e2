"""OmniModel: encoders, thinker, talker and painter; the one place where modalities meet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from mingle.encoders.audio import AudioEncoder
from mingle.encoders.grids import Grid
from mingle.encoders.vision import VisionEncoder
from mingle.encoders.window_vision import WindowVisionEncoder
from mingle.errors import CapacityError, InputError
from mingle.messages import Modality, Span
from mingle.processing.inputs import Patches, Prompt
from mingle.thinker.config import SparseConfig
from mingle.thinker.model import Thinker
from mingle.thinker.positions import position_ids


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """A prompt as the thinker reads it; `next_position` is where an answer goes on.

    `reply` is the modality of the text that follows: whether it stands behind media.
    """

    hidden: Float[Tensor, "tokens dim"]
    positions: Int[Tensor, "3 tokens"]
    modality: Int[Tensor, " tokens"]
    next_position: int
    reply: Modality = Modality.TEXT


class OmniModel(nn.Module):
    """The parts of one model; those that were not loaded are None."""

    def __init__(
        self,
        *,
        thinker: Thinker,
        vision: VisionEncoder | WindowVisionEncoder | None = None,
        audio: AudioEncoder | None = None,
        talker: nn.Module | None = None,
        painter: nn.Module | None = None,
    ):
        super().__init__()
        self._modules["thinker"] = thinker
        self.vision = vision
        self.audio = audio
        self.talker = talker
        self.painter = painter

    @property
    def thinker(self) -> Thinker:
        """The language model; protocols find a property, but since Python 3.12 no submodule."""
        return cast(Thinker, self._modules["thinker"])

    def embed(
        self, prompt: Prompt, queries: Float[Tensor, "queries dim"] | None = None
    ) -> Embedded:
        """Embed the tokens, write encoded media over their placeholders, number the positions.

        `queries` are the rows of the prompt's query spans, in their order. Raises InputError where
        a span and its features do not fit, CapacityError for media whose encoder is not loaded.
        """
        device = self.thinker.embedding.weight.device
        hidden = self.thinker.embed_tokens(torch.from_numpy(prompt.ids).to(device))
        modality = text_modality(prompt, self.thinker.config.sparse).to(device)
        reply = Modality(int(modality[-1])) if len(modality) else Modality.TEXT
        rows, features = [], []
        for kind, items in self._encode(prompt, queries).items():
            spans = [span for span in prompt.spans if span.kind == kind]
            for span, item in zip(spans, _items(kind, spans, items), strict=True):
                places = torch.arange(span.start, span.start + span.length, device=device)
                modality[places] = span.modality
                rows.append(places)
                features.append(item.to(hidden.dtype))
        if rows:
            hidden = hidden.index_copy(0, torch.cat(rows), torch.cat(features))
        where = position_ids(len(prompt.ids), prompt.spans, axes=self.thinker.config.rope.axes)
        return Embedded(
            hidden=hidden,
            positions=where.ids.to(device),
            modality=modality,
            next_position=where.next_position,
            reply=reply,
        )

    def encode_pictures(self, pictures: Sequence[Patches]) -> list[Float[Tensor, "_ dim"]]:
        """Embeddings of pictures or frames, each on its own, computed together."""
        if not pictures:
            return []
        if self.vision is None:
            raise _not_loaded("vision", "pictures and films")
        return _by_picture(self.vision, self.vision, pictures)

    def encode_recordings(self, recordings: Sequence[np.ndarray]) -> list[Float[Tensor, "_ dim"]]:
        """Embeddings of recordings (log-mel frames), each on its own."""
        if not recordings:
            return []
        if self.audio is None:
            raise _not_loaded("audio", "recordings")
        weight = self.audio.conv1.weight
        return self.audio([torch.from_numpy(mels).to(weight) for mels in recordings])

    def read_recordings(
        self, recordings: Sequence[np.ndarray]
    ) -> list[Float32[np.ndarray, "_ letters"]]:
        """Log-probabilities of letters in recordings (log-mel frames); class 0 is none.

        Raises CapacityError where the ears are not loaded or read no letters.
        """
        if self.audio is None:
            raise _not_loaded("audio", "recordings")
        if self.audio.refiner is None:
            raise CapacityError("this model's ears have no refiner, so they read no letters")
        weight = self.audio.conv1.weight
        frames = self.audio.encode([torch.from_numpy(mels).to(weight) for mels in recordings])
        scores = self.audio.refiner.read(self.audio.refiner(frames))
        return [row.float().cpu().numpy() for row in scores]

    def _encode(self, prompt: Prompt, queries: Tensor | None) -> dict[str, list[Tensor]]:
        """Features by kind of span: a tensor for each of its items."""
        lengths = [span.length for span in prompt.spans if span.kind == "query"]
        given = 0 if queries is None else queries.shape[0]
        if sum(lengths) != given:
            raise InputError(f"the prompt has {sum(lengths)} query tokens, but {given} rows came")
        return {
            "image": self.encode_pictures(prompt.images),
            "frame": self.encode_pictures(prompt.frames),
            "audio": self.encode_recordings(prompt.recordings),
            "query": [] if queries is None else list(queries.split(lengths)),
        }


def look_at(
    tower: VisionEncoder, pictures: Sequence[Patches]
) -> list[Float[Tensor, "_ block_dim"]]:
    """What the tower sees in each block of patches, before it makes one embedding of it."""
    return _by_picture(tower, tower.blocks, pictures)


def _by_picture(
    tower: VisionEncoder | WindowVisionEncoder,
    look: Callable[[Tensor, Sequence[Grid]], Tensor],
    pictures: Sequence[Patches],
) -> list[Float[Tensor, "_ dim"]]:
    weight = next(tower.parameters())
    patches = torch.from_numpy(np.concatenate([picture.values for picture in pictures])).to(weight)
    rows = look(patches, [picture.grid for picture in pictures])
    block = tower.config.merge**2
    return list(rows.split([len(picture.values) // block for picture in pictures]))


def text_modality(prompt: Prompt, sparse: SparseConfig | None) -> Int[Tensor, " tokens"]:
    """Every token as text: ABOUT_MEDIA from the first medium on, if that has a router, or TEXT."""
    if sparse is None or Modality.ABOUT_MEDIA not in sparse.routers:
        return torch.full((len(prompt.ids),), int(Modality.TEXT))
    media = [span.start for span in prompt.spans if span.kind != "query"]
    begin = 0 if prompt.behind_media else min(media, default=len(prompt.ids))
    where = torch.arange(len(prompt.ids)) >= begin
    return torch.where(where, int(Modality.ABOUT_MEDIA), int(Modality.TEXT))


def _items(kind: str, spans: Sequence[Span], items: Sequence[Tensor]) -> list[Tensor]:
    """Each span's features. Raises InputError where numbers or lengths differ."""
    if {span.item for span in spans} != set(range(len(items))):
        raise InputError(f"the prompt has {len(spans)} {kind} spans, but {len(items)} {kind}s came")
    for span in spans:
        if span.length != len(items[span.item]):
            raise InputError(
                f"{kind} {span.item} has {span.length} placeholder tokens in the prompt, but "
                f"{len(items[span.item])} embeddings; prepare prompt and media with one processor"
            )
    return [items[span.item] for span in spans]


def _not_loaded(part: str, what: str) -> CapacityError:
    return CapacityError(f"the prompt has {what}, but this model was loaded without '{part}'")
