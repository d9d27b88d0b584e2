"""The linear codec on voices made here: what goes in comes out, in pieces as in one."""

import numpy as np
import pytest
import torch

from mingle.processing.pitch import track_pitch
from mingle.talker.codec import CodecConfig, LinearCodec

CONFIG = CodecConfig(
    sample_rate_hz=16_000, hop=160, frames_per_latent=4, mel_bands=24, latent_dim=16
)
RATE = CONFIG.sample_rate_hz


def voice(hz, seconds=1.0, seed=0):
    """Pulses through a slowly moving formant, with a breath before and after."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    wave = np.zeros_like(time)
    formant = 700 + 300 * np.sin(2 * np.pi * 2 * time + rng.uniform(0, 6))
    for k in range(1, int(4000 / hz)):
        wave += np.sin(2 * np.pi * hz * k * time) * np.exp(-(((hz * k - formant) / 500) ** 2))
    breath = rng.standard_normal(RATE // 4) * 0.01
    return torch.from_numpy(np.concatenate((breath, 0.1 * wave, breath))).float()


@pytest.fixture(scope="module")
def codec():
    made = LinearCodec(CONFIG)
    assert not made.fitted
    explained = made.fit([voice(hz, seed=seed) for seed, hz in enumerate((90, 120, 150, 200, 240))])
    assert made.fitted
    assert explained > 0.95
    return made


def test_a_copy_has_the_length_and_loudness_of_the_original(codec):
    wave = voice(130.0, seed=9)
    latents = codec.encode(wave).mean
    copy = codec.decode(latents)
    assert len(copy) == len(latents) * CONFIG.latent_samples
    assert 0 <= len(copy) - len(wave) < CONFIG.latent_samples
    middle = slice(RATE // 2, RATE)
    assert abs(float(copy[middle].std() / wave[middle].std()) - 1) < 0.2


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_the_pitch_is_what_is_asked_for(codec, factor):
    wave = voice(130.0, seed=9)
    copy, _ = codec.decode_step(codec.encode(wave).mean, None, last=True, pitch=factor)
    found = track_pitch(copy.numpy(), RATE, CONFIG.hop, len(copy) // CONFIG.hop)
    assert abs(found.mean_hz / (130.0 * factor) - 1) < 0.04


def test_a_stream_equals_the_whole(codec):
    latents = codec.encode(voice(180.0, seed=3)).mean
    whole, state, pieces = codec.decode(latents), None, []
    parts = [*latents.split(7), latents[:0]]
    for number, part in enumerate(parts):
        wave, state = codec.decode_step(part, state, last=number == len(parts) - 1)
        pieces.append(wave)
    torch.testing.assert_close(torch.cat(pieces), whole, atol=1e-3, rtol=0)  # phases add up


def test_silence_stays_silent(codec):
    copy = codec.decode(codec.encode(torch.zeros(RATE)).mean)
    assert float(copy.abs().max()) < 1e-2  # -40 dB, in a codec that never met silence


def test_latents_have_unit_mean_square(codec):
    seen = torch.cat([codec.encode(voice(hz, seed=seed)).mean for seed, hz in enumerate((90, 200))])
    assert 0.5 < float(seen.square().mean()) < 2
