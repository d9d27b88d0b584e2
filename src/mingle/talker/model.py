"""The talker: embedded text and voice -> patches of audio latents, one a step.

The released one reads its text as a prompt and decides itself when to stop. By configuration the
text lies along the speech instead (`aligned`), one row a patch, and ends it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mingle.nn.attention import Attend, Cached
from mingle.nn.cache import KVCache
from mingle.nn.transformer import Decoder, DecoderConfig
from mingle.talker.aligned import AlignedConfig, AlignedText
from mingle.talker.flow_head import FlowHead, FlowHeadConfig, FlowOptions, PatchNoise
from mingle.talker.patch_encoder import PatchEncoder, PatchEncoderConfig


@dataclass(frozen=True, kw_only=True)
class TalkerConfig:
    """Sizes of the talker. `steps` is the number of Euler steps it was made for.

    With `aligned` the text lies along the speech: then there is neither vocabulary nor stop head.
    """

    vocab_size: int
    speaker_dim: int
    steps: int
    lm: DecoderConfig
    flow: FlowHeadConfig
    patch_encoder: PatchEncoderConfig
    aligned: AlignedConfig | None


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """When to stop: never before `min_patches`, at the latest at either limit."""

    flow: FlowOptions
    min_patches: int = 12
    max_patches: int = 1000
    max_positions: int = 2048
    stop_above: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One step's result. `last` is set however the loop ends, so that no tail is lost."""

    latents: Float[Tensor, "patch latent_dim"]
    hidden: Float[Tensor, " dim"]
    stop_probability: float
    last: bool
    cut: bool
    """The loop ended at a limit, before the talker wanted to stop."""


class Talker(nn.Module):
    """Language model, flow head, patch encoder, stop head, speaker projection."""

    def __init__(self, config: TalkerConfig):
        super().__init__()
        self.config = config
        dim = config.lm.dim
        if config.aligned is None:
            self.token_embedding = nn.Embedding(config.vocab_size, dim)
        self.lm = Decoder(config.lm)
        self.flow_head = FlowHead(config.flow)
        self.patch_encoder = PatchEncoder(config.patch_encoder)
        if config.aligned is None:
            self.stop_head = nn.Linear(dim, 2)
        self.speaker_head = nn.Linear(config.speaker_dim, dim)
        if config.aligned is not None:
            self.text = AlignedText(config.aligned, config.speaker_dim, dim)

    @property
    def like(self) -> Float[Tensor, " dim"]:
        """A weight as wide as the language model, of the talker's dtype and on its device."""
        return self.speaker_head.bias

    def forward(
        self,
        embeddings: Float[Tensor, "tokens dim"],
        positions: Int[Tensor, " tokens"],
        attend: Attend,
    ) -> Float[Tensor, "tokens dim"]:
        """Hidden states that condition the flow head and the stop head."""
        return self.lm(embeddings, positions, attend)

    def stop_probability(self, hidden: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch two"]:
        """Probabilities of going on and of stopping."""
        return self.stop_head(hidden).softmax(dim=-1)

    def first_history(
        self, latents: Float[Tensor, "latents latent_dim"] | None
    ) -> Float[Tensor, "history latent_dim"]:
        """The latents before the first patch: silence, with those of a recording at its end."""
        flow = self.config.flow
        history = self.like.new_zeros(flow.history, flow.latent_dim)
        if latents is not None and latents.shape[0]:
            kept = latents[-flow.history :]
            history[-kept.shape[0] :] = kept
        return history

    def patches(
        self,
        prompt: Float[Tensor, "tokens dim"],
        history: Float[Tensor, "history latent_dim"],
        options: LoopOptions,
        noise: Callable[[int], PatchNoise],
    ) -> Iterator[Patch]:
        """Speak: one patch a step, until the talker stops or a limit is reached.

        `noise(step)` gives each patch its random numbers. Each patch is handed out before it is
        fed back, so nothing is computed that nobody asked for.
        """
        cache = KVCache(self.config.lm.num_layers)
        limit = min(options.max_patches, options.max_positions - prompt.shape[0])
        inputs = prompt
        for step in range(limit):
            with torch.no_grad():  # never across a yield, which is the caller's code
                hidden, drawn = self._draw(inputs, history, cache, noise(step), options.flow)
                stop = float(self.stop_probability(hidden)[1])
                history = torch.cat((history, drawn))[-history.shape[0] :]
            wants = step + 1 >= options.min_patches and stop > options.stop_above
            cut = step == limit - 1 and not wants
            last = wants or cut
            yield Patch(latents=drawn, hidden=hidden, stop_probability=stop, last=last, cut=cut)
            if last:
                return
            with torch.no_grad():
                inputs = self.patch_encoder(drawn[None])

    def patches_along(
        self,
        rows: Float[Tensor, "patches dim"],
        history: Float[Tensor, "history latent_dim"],
        options: FlowOptions,
        noise: Callable[[int], PatchNoise],
    ) -> Iterator[Patch]:
        """Speak a text that lies along the speech: one patch for each of its rows."""
        cache = KVCache(self.config.lm.num_layers)
        count, size = rows.shape[0], self.config.flow.patch
        for step in range(count):
            with torch.no_grad():
                before = self.patch_encoder(history[None, -size:])
                inputs = before + rows[step : step + 1]
                hidden, drawn = self._draw(inputs, history, cache, noise(step), options)
                history = torch.cat((history, drawn))[-history.shape[0] :]
            last = step == count - 1
            stop = float(last)
            yield Patch(latents=drawn, hidden=hidden, stop_probability=stop, last=last, cut=False)

    def _draw(
        self,
        inputs: Float[Tensor, "new dim"],
        history: Float[Tensor, "history latent_dim"],
        cache: KVCache,
        noise: PatchNoise,
        options: FlowOptions,
    ) -> tuple[Float[Tensor, " dim"], Float[Tensor, "patch latent_dim"]]:
        """One step: the hidden state after the inputs, and the patch drawn from it."""
        hidden = self._advance(inputs, cache)
        return hidden, self.flow_head.solve(hidden[None], history[None], noise, options)[0]

    def _advance(self, inputs: Float[Tensor, "new dim"], cache: KVCache) -> Float[Tensor, " dim"]:
        count = inputs.shape[0]
        attend = Cached([cache], [count])
        positions = torch.arange(cache.length, cache.length + count, device=inputs.device)
        hidden = self.lm(inputs, positions, attend)[-1]
        attend.commit()
        return hidden
