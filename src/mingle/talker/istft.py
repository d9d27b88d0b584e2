"""From log-magnitude and phase to samples, whole or in pieces: the audio decoder's last step."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

MAX_MAGNITUDE = 100.0  # the released decoder cuts exp(log-magnitude) here


@dataclass(frozen=True, kw_only=True)
class OverlapState:
    """What a piece leaves for the next: overlapping samples, their window sums, samples to drop."""

    samples: Float[Tensor, " overlap"]
    window_sums: Float[Tensor, " overlap"]
    to_drop: int


def spectrum_to_frames(spectrum: Float[Tensor, "frames values"]) -> Float[Tensor, "frames window"]:
    """Inverse FFT of every frame, windowed. First half of `values` log-magnitude, second phase."""
    log_magnitude, phase = spectrum.float().chunk(2, dim=-1)  # FFT and exp need fp32
    magnitude = log_magnitude.exp().clamp(max=MAX_MAGNITUDE)
    size = spectrum.shape[-1] - 2
    frames = torch.fft.irfft(torch.polar(magnitude, phase), n=size, dim=-1)
    return frames * torch.hann_window(size, device=spectrum.device)


def overlap_add(
    frames: Float[Tensor, "frames window"], hop: int, state: OverlapState | None, last: bool
) -> tuple[Float[Tensor, " samples"], OverlapState | None]:
    """Add frames `hop` samples apart, divide by the summed squared windows, and trim the edges.

    Pieces of any length give, joined, what one call gives: the samples that the next piece still
    adds to are withheld in the state. All pieces together make `frames * hop` samples.
    """
    count, window = frames.shape
    overlap, edge = window - hop, (window - hop) // 2
    squares = torch.hann_window(window, device=frames.device).square().expand(count, -1)
    samples, sums = _add(frames, hop), _add(squares, hop)
    if state is None:
        state = OverlapState(samples=samples[:0], window_sums=sums[:0], to_drop=edge)
    held = state.samples.shape[0]
    samples = torch.cat((samples[:held] + state.samples, samples[held:]))
    sums = torch.cat((sums[:held] + state.window_sums, sums[held:]))
    ready = samples.shape[0] - (edge if last else overlap)
    wave = samples[state.to_drop : ready] / sums[state.to_drop : ready]
    if last:
        return wave, None
    left_to_drop = max(0, state.to_drop - ready)
    return wave, OverlapState(
        samples=samples[ready:], window_sums=sums[ready:], to_drop=left_to_drop
    )


def _add(frames: Float[Tensor, "frames window"], hop: int) -> Float[Tensor, " samples"]:
    count, window = frames.shape
    length = (count - 1) * hop + window
    if count == 0:
        return frames.new_zeros(length)
    added = F.fold(
        frames.T[None], output_size=(1, length), kernel_size=(1, window), stride=(1, hop)
    )
    return added.flatten()
