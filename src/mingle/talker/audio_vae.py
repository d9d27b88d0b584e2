"""The audio autoencoder: waveform -> latents (12.5 a second in 2.0) -> waveform."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.nn.attention import Cached, Packed
from mingle.nn.cache import KVCache
from mingle.nn.transformer import Decoder, DecoderConfig, positions_of
from mingle.talker.istft import OverlapState, overlap_add, spectrum_to_frames

USUAL_LEVEL = 0.05  # root mean square of speech, of full scale (-26 dB)
FIRST_SCALE = -3.0  # of untrained posteriors, before the softplus: a width of 0.05
FIRST_LOG_MAGNITUDE = -4.0  # of an untrained decoder's spectra; released sizes: -74 dB


@dataclass(frozen=True, kw_only=True)
class AudioVaeConfig:
    """Sizes of the autoencoder. `frames_per_latent` 1 means: no patching, no upsampling."""

    sample_rate_hz: int
    latent_dim: int
    frames_per_latent: int
    frame_samples: int
    encoder_hop: int
    decoder_hop: int
    encoder: DecoderConfig
    summarizer: DecoderConfig | None
    decoder: DecoderConfig

    @property
    def latent_samples(self) -> int:
        """Samples that one latent stands for."""
        return self.encoder_hop * self.frames_per_latent


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What the encoder knows about each latent: mean and standard deviation."""

    mean: Float[Tensor, "latents latent_dim"]
    std: Float[Tensor, "latents latent_dim"]

    def sample(
        self, noise: Float[Tensor, "latents latent_dim"]
    ) -> Float[Tensor, "latents latent_dim"]:
        """Mean plus scaled noise. The released talker samples; `mean` is the steady choice."""
        return self.mean + self.std * noise


@dataclass(frozen=True, kw_only=True)
class DecodeState:
    """Where a streamed decode stands: the latent before, the latent not yet decoded, the rest."""

    before: Float[Tensor, "context latent_dim"]
    waiting: Float[Tensor, "held latent_dim"]
    cache: KVCache
    overlap: OverlapState | None


class AudioVae(nn.Module):
    """Encoder and decoder over packed sequences; the streamed decode's state is passed in."""

    def __init__(self, config: AudioVaeConfig):
        super().__init__()
        self.config = config
        self.encoder = AudioEncoder(config)
        self.decoder = AudioDecoder(config)

    def encode(self, wave: Float[Tensor, " samples"]) -> Posterior:
        """Mono samples in [-1, 1] at the model's rate -> one posterior a latent, ceil-rounded."""
        frames = self.encoder.split(wave)
        return self.encoder(frames, (frames.shape[0],))

    def decode(self, latents: Float[Tensor, "latents latent_dim"]) -> Float[Tensor, " samples"]:
        """All latents at once -> exactly `latents * latent_samples` samples, not clamped."""
        return self.decode_step(latents, None, last=True)[0]

    def decode_step(
        self,
        latents: Float[Tensor, "latents latent_dim"],
        state: DecodeState | None,
        *,
        last: bool,
    ) -> tuple[Float[Tensor, " samples"], DecodeState | None]:
        """Decode the next latents of a stream; start with state None, end with `last`.

        Joined, the pieces equal `decode` of everything (1e-6 of full scale in fp32): one latent
        waits for its right neighbour where frames are interpolated, and the samples that later
        frames still add to wait in the state.
        """
        if state is None:
            cache = KVCache(self.config.decoder.num_layers)
            empty = latents[:0]
            state = DecodeState(before=empty, waiting=empty, cache=cache, overlap=None)
        known = torch.cat((state.before, state.waiting, latents))
        context, per_latent = state.before.shape[0], self.config.frames_per_latent
        held = 0 if last or per_latent == 1 else min(1, known.shape[0] - context)
        end = known.shape[0] - held
        frames = self.decoder.upsample(known)[context * per_latent : end * per_latent]
        windows = self._continue(frames, state.cache)
        wave, overlap = overlap_add(windows, self.config.decoder_hop, state.overlap, last)
        if overlap is None:
            return wave, None
        before = known[max(0, end - 1) : end] if per_latent > 1 else known[:0]
        return wave, DecodeState(
            before=before, waiting=known[end:], cache=state.cache, overlap=overlap
        )

    def _continue(
        self, frames: Float[Tensor, "frames dim"], cache: KVCache
    ) -> Float[Tensor, "frames window"]:
        count = frames.shape[0]
        if count == 0:
            return frames.new_empty(0, 4 * self.config.decoder_hop)
        attend = Cached([cache], [count])
        positions = torch.arange(cache.length, cache.length + count, device=frames.device)
        hidden = self.decoder.backbone(frames, positions, attend)
        attend.commit()
        return spectrum_to_frames(self.decoder.head(hidden))


class AudioEncoder(nn.Module):
    """Frames -> causal transformer -> one summary per patch of frames -> mean and width."""

    def __init__(self, config: AudioVaeConfig):
        super().__init__()
        self.config = config
        dim = config.encoder.dim
        self.frame_in = nn.Linear(config.frame_samples, dim, bias=False)
        self.frame_mix = nn.Linear(dim, dim)
        self.backbone = Decoder(config.encoder)
        self.summarizer: PatchSummarizer | None = None
        if config.summarizer is not None:
            self.summarizer = PatchSummarizer(config.summarizer, config.frames_per_latent)
        self.out = nn.Linear(dim, 2 * config.latent_dim)
        # An untrained encoder must hear: the sound louder than the biases, the latents nearly sure.
        nn.init.normal_(self.frame_in.weight, std=(USUAL_LEVEL**2 * config.frame_samples) ** -0.5)
        nn.init.constant_(self.out.bias[config.latent_dim :], FIRST_SCALE)

    def split(self, wave: Float[Tensor, " samples"]) -> Float[Tensor, "frames frame_samples"]:
        """Cut into frames one hop apart, the last one filled up with silence."""
        hop, size = self.config.encoder_hop, self.config.frame_samples
        count = -(-wave.shape[0] // hop)
        padded = F.pad(wave, (0, (count - 1) * hop + size - wave.shape[0]))
        return padded.unfold(0, size, hop)

    def forward(
        self, frames: Float[Tensor, "frames frame_samples"], lengths: Sequence[int]
    ) -> Posterior:
        """Packed recordings, `lengths` frames each -> posteriors of all their latents."""
        mean, scale = self.moments(frames, tuple(lengths)).chunk(2, dim=-1)
        return Posterior(mean=mean, std=F.softplus(scale) + 1e-4)

    def moments(
        self, frames: Float[Tensor, "frames frame_samples"], lengths: tuple[int, ...]
    ) -> Float[Tensor, "latents moments"]:
        """Mean and raw scale side by side, before the softplus."""
        hidden = self.frame_mix(self.frame_in(frames))
        positions = positions_of(lengths, frames.device)
        hidden = self.backbone(hidden, positions, Packed(lengths))
        if self.summarizer is not None:
            hidden = self.summarizer(hidden, lengths)
        return self.out(hidden)


class PatchSummarizer(nn.Module):
    """A learned token after every patch of frames collects it; causal, so it sees all before."""

    def __init__(self, config: DecoderConfig, frames_per_latent: int):
        super().__init__()
        self.frames_per_latent = frames_per_latent
        self.summary = nn.Parameter(torch.zeros(config.dim))
        self.backbone = Decoder(config)

    def forward(
        self, hidden: Float[Tensor, "frames dim"], lengths: tuple[int, ...]
    ) -> Float[Tensor, "latents dim"]:
        size = self.frames_per_latent
        patches = [self._patches(part) for part in hidden.split(lengths)]
        counts = tuple(part.shape[0] * (size + 1) for part in patches)
        tokens = torch.cat(patches).flatten(0, 1)
        positions = positions_of(counts, tokens.device)
        summarized = self.backbone(tokens, positions, Packed(counts))
        return summarized.unflatten(0, (-1, size + 1))[:, -1]

    def _patches(self, hidden: Float[Tensor, "frames dim"]) -> Float[Tensor, "latents size dim"]:
        size = self.frames_per_latent
        padded = F.pad(hidden, (0, 0, 0, -hidden.shape[0] % size)).unflatten(0, (-1, size))
        summary = self.summary.expand(padded.shape[0], 1, -1)
        return torch.cat((padded, summary), dim=1)


class AudioDecoder(nn.Module):
    """Latents -> interpolated frames -> causal transformer -> log-magnitude and phase."""

    def __init__(self, config: AudioVaeConfig):
        super().__init__()
        self.config = config
        self.latent_in = nn.Linear(config.latent_dim, config.decoder.dim)
        self.backbone = Decoder(config.decoder)
        self.head = nn.Linear(config.decoder.dim, 4 * config.decoder_hop + 2)  # window = 4 hops
        # It begins near silence: removing a roar that is the same for every sound would be the
        # first thing learnt, and would make all latents alike.
        nn.init.constant_(self.head.bias[: 2 * config.decoder_hop + 1], FIRST_LOG_MAGNITUDE)

    def upsample(self, latents: Float[Tensor, "latents latent_dim"]) -> Float[Tensor, "frames dim"]:
        """Latents of one recording at the decoder's width, linearly interpolated to frames."""
        wide = self.latent_in(latents)
        if self.config.frames_per_latent == 1:
            return wide
        scale = float(self.config.frames_per_latent)
        return F.interpolate(wide.T[None], scale_factor=scale, mode="linear")[0].T

    def forward(
        self, latents: Float[Tensor, "latents latent_dim"], lengths: Sequence[int]
    ) -> Float[Tensor, " samples"]:
        """Packed recordings, `lengths` latents each -> their samples, one after another."""
        counts = tuple(length * self.config.frames_per_latent for length in lengths)
        frames = torch.cat([self.upsample(part) for part in latents.split(tuple(lengths))])
        windows = spectrum_to_frames(self.head(self.hidden(frames, counts)))
        hop = self.config.decoder_hop
        return torch.cat([overlap_add(part, hop, None, True)[0] for part in windows.split(counts)])

    def hidden(
        self, frames: Float[Tensor, "frames dim"], lengths: tuple[int, ...]
    ) -> Float[Tensor, "frames dim"]:
        """What the transformer makes of packed frames; `head` turns it into a spectrum."""
        return self.backbone(frames, positions_of(lengths, frames.device), Packed(lengths))
