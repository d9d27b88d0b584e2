"""The float32 FFT of the machine that stored the reference features, rounding for rounding.

Two float32 FFTs of the same windows differ by up to 3e-5 in the log-mel of the quietest bands:
more than the 1e-5 that the stored cases allow, and the official code itself differs by that much
between two processors. So the check repeats the stored rounding: the order of operations of the
portable (SSE) path of the FFT that made the cases, found by probing it with impulses. It swaps in
for `numpy.fft.rfft`; windows, bands and logarithm are those of `processing.audio`.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

WINDOW = 400
RADICES = (5, 5, 8)  # of the complex FFT of half the window
SINGLE = np.float32
ROOT_HALF = SINGLE(np.sqrt(0.5))

Values = np.ndarray[Any, np.dtype[Any]]  # complex64


def reference_power(
    windows: Float32[np.ndarray, "frames window"],
) -> Float32[np.ndarray, "frames bins"]:
    """Power spectra of windows of 400 samples under torch's Hann window."""
    frames = windows * torch.hann_window(WINDOW).numpy()
    spectrum = _unpack(_transform(_complex(frames[:, 0::2], frames[:, 1::2]), RADICES))
    return np.real(spectrum) ** 2 + np.imag(spectrum) ** 2


def _unpack(half: Values) -> Values:
    """Spectrum of real samples from that of (even + i odd) samples."""
    bins = np.arange(WINDOW // 2 + 1)
    angle = 2 * np.pi * bins / WINDOW
    forward, mirror = half[:, bins % 200], half[:, -bins % 200].conj()
    gap = forward - mirror
    across = SINGLE(0.5) * (SINGLE(1) - np.sin(angle).astype(SINGLE))
    along = SINGLE(0.5) * np.cos(angle).astype(SINGLE)
    along[WINDOW // 4] = 0
    spectrum = _complex(
        np.real(mirror) + (across * np.real(gap) + along * np.imag(gap)),
        np.imag(mirror) + (across * np.imag(gap) - along * np.real(gap)),
    )
    even, odd = np.real(half[:, 0]), np.imag(half[:, 0])
    spectrum[:, 0], spectrum[:, -1] = even + odd, even - odd
    return spectrum


def _transform(values: Values, radices: tuple[int, ...], lane: int = 0) -> Values:
    """Decimation in time. Of each five innermost transforms, four are done by vector code."""
    radix, *inner = radices
    if not inner:
        columns = list(values.T)
        parts = _eight_scalar(columns) if lane == 4 else _eight_vector(columns)
        return np.stack(parts, axis=1)
    size = values.shape[1]
    place = np.arange(size // radix)
    parts = [_transform(values[:, lane::radix], tuple(inner), lane) for lane in range(radix)]
    for lane in range(1, radix):
        turn = np.exp(-2j * np.pi * (lane * place % size) / size).astype(np.complex64)
        parts[lane] = _multiply(parts[lane], turn)
    return np.concatenate(_five(parts), axis=1)


def _five(x: list[Values]) -> list[Values]:
    c1, c2 = (SINGLE(np.cos(2 * np.pi * k / 5)) for k in (1, 2))
    s1, s2 = (SINGLE(np.sin(2 * np.pi * k / 5)) for k in (1, 2))
    outer, inner = x[1] + x[4], x[2] + x[3]
    outer_gap, inner_gap = x[1] - x[4], x[2] - x[3]
    a, b = x[0] + (c1 * outer + c2 * inner), x[0] + (c2 * outer + c1 * inner)
    p, q = _clockwise(s1 * outer_gap + s2 * inner_gap), _clockwise(s2 * outer_gap - s1 * inner_gap)
    return [x[0] + (outer + inner), a + p, b + q, b - q, a - p]


def _eight_vector(x: list[Values]) -> list[Values]:
    even = _four([x[k] + x[k + 4] for k in range(4)])
    gap = [x[k] - x[k + 4] for k in range(4)]
    one, three = ROOT_HALF * gap[1], ROOT_HALF * gap[3]
    p, q = gap[0] + (one - three), _clockwise(gap[2] + (one + three))
    r, s = gap[0] - (one - three), _clockwise(gap[2] - (one + three))
    return [even[0], p + q, even[1], r - s, even[2], r + s, even[3], p - q]


def _eight_scalar(x: list[Values]) -> list[Values]:
    even, odd = _four(x[0::2]), _four(x[1::2])
    one, three = ROOT_HALF * odd[1], ROOT_HALF * odd[3]
    turned = [odd[0], one + _clockwise(one), _clockwise(odd[2]), _clockwise(three) - three]
    pairs = list(zip(even, turned, strict=True))
    return [a + b for a, b in pairs] + [a - b for a, b in pairs]


def _four(x: list[Values]) -> list[Values]:
    total, gap = x[0] + x[2], x[0] - x[2]
    odd_total, odd_gap = x[1] + x[3], _clockwise(x[1] - x[3])
    return [total + odd_total, gap + odd_gap, total - odd_total, gap - odd_gap]


def _multiply(values: Values, turn: Values) -> Values:
    """Complex product with every partial product rounded (numpy may fuse them)."""
    real, imag = np.real(values), np.imag(values)
    cosine, sine = np.real(turn), np.imag(turn)
    return _complex(real * cosine - imag * sine, real * sine + imag * cosine)


def _clockwise(values: Values) -> Values:
    """Times -i, exactly."""
    return _complex(np.imag(values), -np.real(values))


def _complex(real: np.ndarray, imag: np.ndarray) -> Values:
    values = np.empty(real.shape, dtype=np.complex64)
    values.real, values.imag = real, imag
    return values
