"""Latents that need no training: principal components of spectra, pitch and voicing, and back.

A linear map in both directions, fitted in seconds; the sound is a source (`source`) whose mel
spectrum is brought to the wanted one in every frame. The small talker's alternative to the
autoencoder: it knows what speech is made of, so it has little to learn and less to gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.processing.pitch import track_pitch
from mingle.talker.audio_vae import Posterior
from mingle.talker.istft import OverlapState, overlap_add
from mingle.talker.mel import FLOOR, SPREAD, LogMel, triangles
from mingle.talker.source import SourceState, excite

MIDDLE_HZ = 130.0  # the pitch that zero octaves mean
OCTAVE = 3.0  # what an octave counts beside the spectrum's numbers, so that it is kept exactly
VOICELESS, VOICED = 0.4, 0.75  # correlation with the period before: all noise, all pulses
HIGHEST_PULSES_HZ = 5000.0  # above it even a clear voice is mostly breath
EDGE_HZ = 500.0  # over which pulses give way to noise
SILENCE = 1.5 * FLOOR  # of power; bands that are no louder are silent
FAINTEST = 1e-6  # of power, what stands for silence: -90 dB below full scale
MOST_GAIN = 6.0  # natural logarithm of amplitude


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """`frames_per_latent` frames, one hop apart and four hops long, become one latent."""

    sample_rate_hz: int
    hop: int
    frames_per_latent: int
    mel_bands: int
    latent_dim: int

    @property
    def latent_samples(self) -> int:
        """Samples that one latent stands for."""
        return self.hop * self.frames_per_latent

    @property
    def frame_dim(self) -> int:
        """Numbers that describe a frame: its bands, its pitch, how voiced it is."""
        return self.mel_bands + 2


@dataclass(frozen=True, kw_only=True)
class CodecState:
    """Where a streamed decode stands."""

    source: SourceState
    overlap: OverlapState | None


class LinearCodec(nn.Module):
    """Recording -> latents -> recording. `fit` it once; the maps are buffers."""

    middle: Tensor
    analysis: Tensor
    synthesis: Tensor

    def __init__(self, config: CodecConfig):
        super().__init__()
        self.config = config
        size = config.frames_per_latent * config.frame_dim
        self.spectrum = LogMel(config.sample_rate_hz, 4 * config.hop, config.mel_bands)
        self.register_buffer("middle", torch.zeros(size))
        self.register_buffer("analysis", torch.zeros(size, config.latent_dim))
        self.register_buffer("synthesis", torch.zeros(config.latent_dim, size))

    @property
    def fitted(self) -> bool:
        """Whether `fit` was called, or the maps were loaded."""
        return bool(self.analysis.any())

    @torch.no_grad()
    def fit(self, recordings: Sequence[Float[Tensor, " _"]]) -> float:
        """Take the principal components of these recordings; returns the share they explain.

        Together the latents have unit mean square. Each is as wide as the root of its component's
        width, so that a flow spends itself on what is heard.
        """
        blocks = torch.cat([self.describe(wave) for wave in recordings]).double()
        middle = blocks.mean(0)
        variance, directions = torch.linalg.eigh(torch.cov(blocks.T))
        kept = slice(-self.config.latent_dim, None)
        width, directions = variance[kept].flip(0).sqrt(), directions[:, kept].flip(1)
        scale = width.sqrt()
        scale = scale * (width / scale).square().mean().sqrt()
        self.middle.copy_(middle)
        self.analysis.copy_(directions / scale)
        self.synthesis.copy_((directions * scale).T)
        return float(variance[kept].sum() / variance.sum())

    def encode(self, wave: Float[Tensor, " samples"]) -> Posterior:
        """Mono samples in [-1, 1] at the codec's rate -> latents, ceil-rounded; nothing random."""
        mean = (self.describe(wave) - self.middle) @ self.analysis
        return Posterior(mean=mean, std=torch.zeros_like(mean))

    def describe(self, wave: Float[Tensor, " samples"]) -> Float[Tensor, "latents block"]:
        """What is kept of the frames of each latent: bands, pitch in octaves, voicing."""
        config = self.config
        count = -(-wave.shape[0] // config.latent_samples) * config.frames_per_latent
        before = 3 * config.hop // 2  # so that a frame's centre is in the middle of its hop
        after = (count - 1) * config.hop + 4 * config.hop - before - wave.shape[0]
        frames = F.pad(wave, (before, after)).unfold(0, 4 * config.hop, config.hop)
        mel = self.spectrum(frames)
        samples = wave.detach().float().cpu().numpy()
        pitch = track_pitch(samples, config.sample_rate_hz, config.hop, count)
        octaves = (torch.from_numpy(pitch.hz) / MIDDLE_HZ).log2() * OCTAVE
        told = torch.stack((octaves, torch.from_numpy(pitch.strength)), dim=1).to(mel)
        return torch.cat((mel, told), dim=1).unflatten(0, (-1, config.frames_per_latent)).flatten(1)

    def decode(self, latents: Float[Tensor, "latents latent_dim"]) -> Float[Tensor, " samples"]:
        """All latents at once -> exactly `latents * latent_samples` samples, not clamped."""
        return self.decode_step(latents, None, last=True)[0]

    def decode_step(
        self,
        latents: Float[Tensor, "latents latent_dim"],
        state: CodecState | None,
        *,
        last: bool,
        pitch: float = 1.0,
    ) -> tuple[Float[Tensor, " samples"], CodecState | None]:
        """Decode the next latents of a stream; start with state None, end with `last`.

        Joined, the pieces equal `decode` of everything. `pitch` multiplies the voice's own.
        """
        config = self.config
        blocks = latents @ self.synthesis + self.middle
        frames = blocks.unflatten(1, (config.frames_per_latent, -1)).flatten(0, 1).float()
        mel, told = frames.split((config.mel_bands, 2), dim=1)
        hz = MIDDLE_HZ * 2 ** (told[:, 0] / OCTAVE).clamp(-2.5, 2.5) * pitch
        overlap = None if state is None else state.overlap
        if len(frames):
            started = None if state is None else state.source
            source, after = excite(hz, config.sample_rate_hz, config.hop, started)
            mixed = _mix(source.pulses, source.noise, told[:, 1], config.sample_rate_hz)
            windows = self._bring_to(mel, mixed)
        else:
            assert state is not None, "a stream begins with a latent"
            after, windows = state.source, mel.new_zeros(0, 4 * config.hop)
        wave, overlap = overlap_add(windows, config.hop, overlap, last)
        return wave, None if overlap is None else CodecState(source=after, overlap=overlap)

    def _bring_to(
        self, mel: Float[Tensor, "frames bands"], source: Complex[Tensor, "frames bins"]
    ) -> Float[Tensor, "frames window"]:
        """Windowed frames whose mel spectra are the wanted ones."""
        config = self.config
        window, rate = 4 * config.hop, config.sample_rate_hz
        bands = triangles(rate, window, config.mel_bands).to(mel.device)
        power = source.real.square() + source.imag.square()
        given = (power @ bands + FLOOR).log()
        wanted = ((mel * SPREAD).exp() - SILENCE).clamp(min=FAINTEST).log()
        gains = ((wanted - given) / 2).clamp(max=MOST_GAIN)
        spread = _between(rate, window, config.mel_bands).to(mel.device)
        frames = torch.fft.irfft(source * (gains @ spread).exp())
        return frames * torch.hann_window(window, device=mel.device)


def _mix(
    pulses: Complex[Tensor, "frames bins"],
    noise: Complex[Tensor, "frames bins"],
    strength: Float[Tensor, " frames"],
    rate_hz: int,
) -> Complex[Tensor, "frames bins"]:
    """Pulses up to a frequency that rises with the voice's strength, noise above."""
    voiced = ((strength - VOICELESS) / (VOICED - VOICELESS)).clamp(0, 1)[:, None]
    hertz = torch.linspace(0, rate_hz / 2, pulses.shape[1], device=strength.device)
    share = voiced * torch.sigmoid((voiced * HIGHEST_PULSES_HZ - hertz) / EDGE_HZ)
    return pulses * share.sqrt() + noise * (1 - share).sqrt()


@cache
def _between(rate_hz: int, window: int, bands: int) -> Float[Tensor, "bands bins"]:
    """Every frequency between the centres of two bands takes from both, by its distance."""
    weights = triangles(rate_hz, window, bands)
    centres = (weights / weights.amax(0).clamp(min=1e-9)).T.contiguous()
    bins = torch.arange(centres.shape[1])
    first, last = int(centres[0].argmax()), int(centres[-1].argmax())
    centres[:, bins <= first] = 0
    centres[0, bins <= first] = 1
    centres[:, bins >= last] = 0
    centres[-1, bins >= last] = 1
    return centres / centres.sum(0).clamp(min=1e-9)
