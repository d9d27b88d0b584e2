"""Frames of samples -> the logarithm of a mel spectrum: what small audio encoders read."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

FLOOR = 1e-3  # of power; a frame of silence is log(FLOOR)
SPREAD = 4.0  # natural logarithms of speech, divided by it, have roughly unit width


class LogMel(nn.Module):
    """Hann window, power spectrum, triangular bands up to half the rate, logarithm, scaled."""

    def __init__(self, rate_hz: int, frame_samples: int, bands: int):
        super().__init__()
        self.rate_hz, self.frame_samples, self.bands = rate_hz, frame_samples, bands

    def forward(
        self, frames: Float[Tensor, "frames frame_samples"]
    ) -> Float[Tensor, "frames bands"]:
        window = torch.hann_window(self.frame_samples, device=frames.device)
        spectrum = torch.fft.rfft(frames.float() * window)  # FFT and logarithm need fp32
        power = spectrum.real.square() + spectrum.imag.square()
        bands = triangles(self.rate_hz, self.frame_samples, self.bands).to(frames.device)
        return ((power @ bands + FLOOR).log() / SPREAD).to(frames.dtype)


@cache
def triangles(rate_hz: int, frame_samples: int, bands: int) -> Float[Tensor, "bins bands"]:
    """Each band rises to 1 at its centre and falls to its neighbour's; centres even in mel."""
    highest = 2595 * np.log10(1 + rate_hz / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(frame_samples, 1 / rate_hz)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    return torch.from_numpy(weights / np.maximum(weights.sum(axis=0), 1)).float()
