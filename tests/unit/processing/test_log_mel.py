"""Log-mel frames and the sample-rate conversion before them."""

import numpy as np
import pytest

from mingle.checkpoints.flash_omni_2.processor import audio_settings
from mingle.processing.audio import log_mel, mel_filters, prepare_recording
from mingle.processing.resample import resample

SETTINGS = audio_settings(mels=128)


def tone(rate: int, hertz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate).astype(np.float32)


def test_silence_is_even_and_finite():
    frames = log_mel(np.zeros(16_000, np.float32), SETTINGS)
    assert frames.shape == (100, 128)
    assert (frames == -1.5).all()  # (lg 1e-10 + 4) / 4


def test_ten_times_the_amplitude_is_half_a_unit_up():
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.01
    up = log_mel(noise * 10, SETTINGS) - log_mel(noise, SETTINGS)  # 20 dB = 2 decades of power
    np.testing.assert_allclose(up, 0.5, atol=1e-5)


def test_a_tone_lights_the_band_at_its_frequency():
    frames = log_mel(tone(16_000, 1000.0), SETTINGS)
    filters = mel_filters(16_000, 400, 128)
    bins = np.fft.rfftfreq(400, 1 / 16_000)
    centre = bins[filters[frames[50].argmax()].argmax()]
    assert abs(centre - 1000.0) <= 40.0  # one bin


def test_filters_are_slaneys():
    filters = mel_filters(16_000, 400, 128)
    assert filters.shape == (128, 201)
    # librosa.filters.mel(sr=16000, n_fft=400, n_mels=128): peak bin and height of four bands
    peaks = {0: (1, 0.012373987), 1: (1, 0.030392565), 64: (43, 0.018091519), 127: (195, 0.0050416)}
    for band, (at, height) in peaks.items():
        assert filters[band].argmax() == at
        assert filters[band, at] == pytest.approx(height, rel=1e-5)
    assert filters.sum() == pytest.approx(3.1909857)
    assert filters[:, 0].sum() == 0


@pytest.mark.parametrize(
    "rate", [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 44_101]
)
def test_resampling_keeps_a_tone(rate):
    found = resample(tone(rate, 997.0, 0.2), rate, 16_000)
    assert len(found) == -(-int(rate * 0.2) * 16_000 // rate)
    wanted = tone(16_000, 997.0, 0.3)[: len(found)]
    np.testing.assert_allclose(found[200:-200], wanted[200:-200], atol=4e-3)  # pass-band ripple


def test_resampling_removes_what_the_new_rate_cannot_hold():
    assert np.abs(resample(tone(48_000, 12_000.0), 48_000, 16_000)[200:-200]).max() < 0.03


def test_channels_rates_and_containers_do_not_change_the_length():
    for rate in (8000, 16_000, 44_100):
        assert prepare_recording((tone(rate, 440.0), rate), SETTINGS).shape == (100, 128)


@pytest.mark.parametrize(("frames", "tokens"), [(1, 1), (4, 1), (5, 2), (150, 38), (340, 85)])
def test_tokens_are_two_halvings_rounded_up(frames, tokens):
    assert SETTINGS.tokens(frames) == tokens
