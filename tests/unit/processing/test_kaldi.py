"""Filterbank features for the speaker encoder, against kaldi-native-fbank 1.22 (no dither)."""

import numpy as np
import pytest

from mingle.errors import InputError
from mingle.processing.kaldi import filterbank

FRAMES = {
    3: [
        -0.3264,
        -9.1786,
        -14.1881,
        -15.9424,
        -15.1894,
        -10.5443,
        -7.0208,
        -15.572,
        -15.9424,
        -15.9424,
    ],
    22: [
        -7.1018,
        -4.9172,
        -5.4883,
        -12.1025,
        -13.9087,
        -10.494,
        -7.022,
        -15.6345,
        -15.9424,
        -15.9424,
    ],
}
"""Every eighth band of the named frames."""


def chirp():
    time = np.arange(4000)
    return (0.4 * np.sin(time * time * 2e-5) + 0.1 * np.sin(time * 0.9)).astype(np.float32)


def test_features_are_kaldis():
    features = filterbank(chirp())
    assert features.shape == (23, 80)
    for frame, bands in FRAMES.items():
        np.testing.assert_allclose(features[frame, ::8], bands, atol=1e-3)


def test_silence_is_the_floor():
    assert np.allclose(filterbank(np.zeros(800, np.float32)), np.log(np.finfo(np.float32).eps))


def test_less_than_a_window_is_refused():
    with pytest.raises(InputError, match="399 samples"):
        filterbank(np.zeros(399, np.float32))
