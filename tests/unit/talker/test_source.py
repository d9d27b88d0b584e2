"""Pulses and noise: in pieces as in one, as loud as promised."""

import torch

from mingle.processing.pitch import track_pitch
from mingle.talker.istft import overlap_add
from mingle.talker.source import excite

HOP, RATE = 160, 16_000


def sound_of(spectra):
    frames = torch.fft.irfft(spectra)
    return overlap_add(frames * torch.hann_window(frames.shape[1]), HOP, None, True)[0]


def test_both_sources_have_unit_variance():
    source, _ = excite(torch.full((200,), 150.0), RATE, HOP, None)
    assert abs(float(sound_of(source.pulses).std()) - 1) < 0.01
    assert abs(float(sound_of(source.noise).std()) - 1) < 0.02


def test_pulses_follow_a_rising_pitch():
    pitch = torch.linspace(100, 220, 200)
    source, _ = excite(pitch, RATE, HOP, None)
    found = track_pitch(sound_of(source.pulses).numpy(), RATE, HOP, 200)
    assert abs(found.hz / pitch.numpy() - 1)[5:-5].max() < 0.01


def test_a_source_in_pieces_equals_the_whole():
    pitch = torch.linspace(100, 220, 50)
    whole, _ = excite(pitch, RATE, HOP, None)
    first, state = excite(pitch[:20], RATE, HOP, None)
    second, _ = excite(pitch[20:], RATE, HOP, state)
    torch.testing.assert_close(torch.cat((first.noise, second.noise)), whole.noise)
    joined = torch.cat((first.pulses, second.pulses))
    torch.testing.assert_close(joined, whole.pulses, atol=1e-4, rtol=0)
