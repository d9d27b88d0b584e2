"""The source of a voice: pulses at the pitch, and noise, which the codec then shapes.

No phases are stored: the codec says how strong each frequency is
(source-filter synthesis; Engel et al. 2020, DDSP). A frame is 4 hops long, as in `istft`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

NOISE_SAMPLES = 1 << 16  # then the noise comes round again
NOISE_SEED = 20261125


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """Where a stream's pulses stand at the centre of its last frame."""

    frames: int
    phase: Float[Tensor, ""]
    """In periods."""
    pitch_hz: Float[Tensor, ""]


@dataclass(frozen=True, kw_only=True)
class Source:
    """The spectra of both sources in every frame; each has about unit variance in time."""

    pulses: Complex[Tensor, "frames bins"]
    noise: Complex[Tensor, "frames bins"]


def excite(
    pitch_hz: Float[Tensor, " frames"], rate_hz: int, hop: int, state: SourceState | None
) -> tuple[Source, SourceState]:
    """The sources of the next frames of one recording; start with state None.

    Frames in any portions give what one call gives. In each frame the pitch stands still; the
    pulses of neighbours agree at their centres.
    """
    pitch = pitch_hz.double()
    start = pitch.new_zeros(()) if state is None else state.phase
    before = pitch[:1] if state is None else state.pitch_hz[None]
    halfway = (torch.cat((before, pitch[:-1])) + pitch) / 2
    if state is None:
        halfway = torch.cat((halfway.new_zeros(1), halfway[1:]))
    phase = (start + (halfway * hop / rate_hz).cumsum(0)) % 1.0
    first = 0 if state is None else state.frames
    hann = torch.hann_window(4 * hop, device=pitch.device)
    pulses = _pulses(phase, pitch, rate_hz, hop) * hann
    noise = _noise(first, pitch.shape[0], hop).to(hann) * hann
    made = Source(pulses=torch.fft.rfft(pulses), noise=torch.fft.rfft(noise))
    after = SourceState(frames=first + pitch.shape[0], phase=phase[-1], pitch_hz=pitch[-1])
    return made, after


def _pulses(
    phase: Float[Tensor, " frames"], pitch_hz: Float[Tensor, " frames"], rate_hz: int, hop: int
) -> Float[Tensor, "frames window"]:
    """All harmonics below half the rate, equally strong, as a quotient of sines (Dirichlet)."""
    seconds = (torch.arange(4 * hop, device=phase.device) - 2 * hop) / rate_hz
    turns = (phase[:, None] + pitch_hz[:, None] * seconds) % 1.0
    count = (rate_hz / 2 / pitch_hz).floor().clamp(min=1)[:, None]
    below = (math.pi * turns).sin()
    quotient = (math.pi * (2 * count + 1) * turns).sin() / below.clamp(min=1e-9)
    summed = torch.where(below < 1e-6, 2 * count + 1, quotient) - 1
    return (summed / (2 * count).sqrt()).float()


def _noise(first: int, count: int, hop: int) -> Float[Tensor, "frames window"]:
    """The same noise for the same place in a recording, so that pieces equal the whole."""
    generator = torch.Generator().manual_seed(NOISE_SEED)
    noise = torch.randn(NOISE_SAMPLES, generator=generator)
    starts = (torch.arange(first, first + count) * hop)[:, None]
    return noise[(starts + torch.arange(4 * hop)) % NOISE_SAMPLES]
