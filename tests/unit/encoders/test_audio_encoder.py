"""Ears: recordings do not hear each other, lengths are known beforehand."""

from dataclasses import replace

import pytest
import torch
from miniature.tiny import TINY_AUDIO, TINY_VISION, tiny_audio

from mingle.encoders.audio import AudioConfig, sinusoids
from mingle.encoders.vision import VisionConfig
from mingle.errors import ConfigError, InputError

CLOSE = {"atol": 1e-5, "rtol": 1e-4}  # fp32


def mels(frames, seed=0):
    return torch.randn(frames, TINY_AUDIO.mels, generator=torch.Generator().manual_seed(seed))


def test_recordings_together_equal_recordings_alone():
    encoder, recordings = tiny_audio(), [mels(n, n) for n in (31, 8, 31, 1, 100)]
    for one, together in zip(recordings, encoder(recordings), strict=True):
        torch.testing.assert_close(together, encoder([one])[0], **CLOSE)


def test_lengths_are_as_announced():
    encoder = tiny_audio()
    for frames in (1, 2, 3, 4, 5, 6, 7, 8, 97, 98, 99, 100):
        assert len(encoder([mels(frames)])[0]) == TINY_AUDIO.num_embeddings(frames)
    assert TINY_AUDIO.num_embeddings(100) == 25  # one second: 100 frames, 25 embeddings


def test_embeddings_have_unit_length():
    (embedded,) = tiny_audio()([mels(40)])
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(10))


@pytest.mark.parametrize("length", [2.5, None])
def test_embeddings_have_the_configured_length(length: float | None):
    encoder = tiny_audio()
    raw = encoder.project(encoder.refine(encoder.encode([mels(9)])))[0]
    encoder.config = replace(TINY_AUDIO, out_length=length)
    found = encoder([mels(9)])[0]
    wanted = raw if length is None else raw / raw.norm(dim=-1, keepdim=True) * length
    torch.testing.assert_close(found, wanted, **CLOSE)


@pytest.mark.parametrize("config", [TINY_AUDIO, TINY_VISION])
def test_embeddings_without_a_length_are_refused(config: AudioConfig | VisionConfig):
    with pytest.raises(ConfigError, match="expected more than 0"):
        replace(config, out_length=-1.0)


def test_a_recording_that_is_too_long_is_refused_with_both_lengths():
    longest = 2 * TINY_AUDIO.max_frames
    assert len(tiny_audio()([mels(longest)])) == 1
    with pytest.raises(InputError, match=r"1\.2\d* s is longer than the 1\.2 s"):
        tiny_audio()([mels(longest + 1)])


def test_positions_are_sines_then_cosines():
    table = sinusoids(50, 8)
    torch.testing.assert_close(table[7, 0], torch.sin(torch.tensor(7.0)))
    torch.testing.assert_close(table[7, 4], torch.cos(torch.tensor(7.0)))
    torch.testing.assert_close(table[7, 7], torch.cos(torch.tensor(7e-4)))
