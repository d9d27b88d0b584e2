"""Resampling in chunks: no click, no sample lost."""

import itertools

import numpy as np
import pytest

from mingle.processing.resample import resample
from mingle.processing.stream_resample import StreamResampler

RATES = [
    (44100, 24000),
    (44100, 16000),
    (44100, 8000),
    (24000, 48000),
    (16000, 44100),
    (8000, 8000),
]


def streamed(samples, source, target, sizes):
    resampler = StreamResampler(source, target)
    pieces, start, sizes = [], 0, itertools.cycle(sizes)
    while start < len(samples):
        size = next(sizes)
        last = start + size >= len(samples)
        pieces.append(resampler.feed(samples[start : start + size], last=last))
        start += size
    return pieces


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("sizes", [(1,), (441, 7), (13230,), (2000, 1, 5000)])
def test_chunks_equal_the_whole(source, target, sizes):
    samples = np.random.default_rng(0).normal(size=9000).astype(np.float32)
    if sizes == (1,):
        samples = samples[:60]
    joined = np.concatenate(streamed(samples, source, target, sizes))
    np.testing.assert_allclose(joined, resample(samples, source, target), atol=2e-6)


def test_a_sine_has_no_click_at_chunk_borders():
    wave = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100).astype(np.float32)
    joined = np.concatenate(streamed(wave, 44100, 24000, (4410, 1323)))
    ideal = np.sin(2 * np.pi * 440 * np.arange(24000) / 24000)
    inside = slice(100, -100)  # the first and last 4 ms see the edge of the sound
    assert np.abs(joined - ideal)[inside].max() < 2e-3  # -54 dB, the filter's own ripple
    assert np.abs(np.diff(joined, 2))[inside].max() < 1.05 * np.abs(np.diff(ideal, 2)).max()


def test_little_is_held_back():
    resampler = StreamResampler(44100, 24000)
    given = len(resampler.feed(np.zeros(44100, np.float32)))
    assert 24000 - given < 24  # a millisecond
