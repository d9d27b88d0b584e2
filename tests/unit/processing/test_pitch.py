"""The pitch tracker on tones whose pitch is known."""

import numpy as np
import pytest

from mingle.processing.pitch import track_pitch

RATE, HOP = 16_000, 160


def voice(hz, seconds=0.5):
    time = np.arange(int(seconds * RATE)) / RATE
    parts = [np.sin(2 * np.pi * hz * k * time) / k for k in range(1, int(3000 / hz))]
    return np.sum(parts, axis=0).astype(np.float32) * 0.1


@pytest.mark.parametrize("hz", [75.0, 130.0, 220.0, 350.0])
def test_a_steady_voice_is_measured_to_a_percent(hz):
    found = track_pitch(voice(hz), RATE, HOP, 50)
    assert abs(found.mean_hz / hz - 1) < 0.01
    assert found.voiced.mean() > 0.9


def test_noise_and_silence_are_not_voiced():
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    assert track_pitch(noise, RATE, HOP, 100).voiced.mean() < 0.05
    silent = track_pitch(np.zeros(RATE, np.float32), RATE, HOP, 100)
    assert not silent.voiced.any()
    assert np.isnan(silent.mean_hz)


def test_the_pitch_is_bridged_over_a_pause():
    pause = np.zeros(RATE // 5, np.float32)
    found = track_pitch(np.concatenate((voice(100.0), pause, voice(200.0))), RATE, HOP, 120)
    assert 110 < found.hz[60] < 190
    assert not found.voiced[60]
