"""What happens to a clean voice before a microphone hears it: room, tone, noise, silence."""

import numpy as np
from jaxtyping import Float32

from mingle.worlds.voices import SAMPLE_RATE


def distort(
    rng: np.random.Generator, samples: Float32[np.ndarray, " before"]
) -> Float32[np.ndarray, " after"]:
    """A random recording condition: 30 % reverberant, 50 % coloured, 60 % noisy; level varies."""
    silence = np.zeros(int(rng.uniform(0.02, 0.6) * SAMPLE_RATE), dtype=np.float32)
    heard = np.concatenate((silence, samples, silence[: len(silence) // 2]))
    if rng.random() < 0.3:
        heard = _reverberate(rng, heard)
    if rng.random() < 0.5:
        heard = _tilt(rng, heard)
    heard *= rng.uniform(0.1, 0.9) / max(float(np.abs(heard).max()), 1e-3)
    if rng.random() < 0.6:
        heard = heard + _noise(rng, heard)
    return heard.clip(-1, 1).astype(np.float32)


def _reverberate(rng: np.random.Generator, heard: np.ndarray) -> np.ndarray:
    """Convolve with decaying noise: reverberation times of 0.1 to 0.5 s, direct sound kept."""
    seconds = rng.uniform(0.1, 0.5)
    length = int(seconds * SAMPLE_RATE)
    tail = rng.standard_normal(length) * 10 ** (
        -3 * np.arange(length) / length
    )  # -60 dB at the end
    tail *= rng.uniform(0.1, 0.5) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    size = len(heard) + length - 1
    spectrum = np.fft.rfft(heard, size) * np.fft.rfft(tail, size)
    return np.fft.irfft(spectrum, size)[: len(heard)]


def _tilt(rng: np.random.Generator, heard: np.ndarray) -> np.ndarray:
    """Tilt the spectrum by up to 3 dB an octave; at times a telephone line cuts it at 3.4 kHz."""
    spectrum = np.fft.rfft(heard)
    hertz = np.fft.rfftfreq(len(heard), 1 / SAMPLE_RATE)
    gain = (np.maximum(hertz, 100) / 1000) ** rng.uniform(-0.5, 0.5)
    if rng.random() < 0.3:
        gain = gain / (1 + (hertz / 3400) ** 8)  # a telephone line
    return np.fft.irfft(spectrum * gain, len(heard))


def _noise(rng: np.random.Generator, heard: np.ndarray) -> np.ndarray:
    """White to brown noise, 10 to 40 dB below the voice."""
    spectrum = np.fft.rfft(rng.standard_normal(len(heard)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** rng.uniform(0, 1)
    noise = np.fft.irfft(spectrum, len(heard))
    level = np.sqrt((heard**2).mean()) * 10 ** (-rng.uniform(10, 40) / 20)
    return noise * level / np.sqrt((noise**2).mean())
