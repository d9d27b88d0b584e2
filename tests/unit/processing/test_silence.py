"""Cutting long recordings where speech pauses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mingle.processing.silence import speech_pieces

RATE = 1000


def sound(*parts: tuple[str, float]) -> np.ndarray:
    """Noise ("speech") and silence by turns, seconds long."""
    noise = np.random.default_rng(0)
    pieces = [
        0.3 * noise.standard_normal(round(seconds * RATE)) * (kind == "speech")
        for kind, seconds in parts
    ]
    return np.concatenate(pieces).astype(np.float32)


def seconds(samples: np.ndarray, longest: float) -> list[tuple[float, float]]:
    pieces = speech_pieces(samples, RATE, max_seconds=float(longest))
    return [(start / RATE, end / RATE) for start, end in pieces]


def test_a_long_recording_is_cut_in_its_pauses():
    samples = sound(("speech", 7), ("silence", 1), ("speech", 8), ("silence", 1), ("speech", 4))
    assert seconds(samples, 10) == [
        (0, pytest.approx(7.2, abs=0.05)),
        (pytest.approx(7.8, abs=0.05), pytest.approx(16.2, abs=0.05)),
        (pytest.approx(16.8, abs=0.05), pytest.approx(21, abs=0.01)),
    ]


def test_silence_around_speech_is_trimmed():
    samples = sound(("silence", 3), ("speech", 2), ("silence", 3))
    assert seconds(samples, 30) == [
        (pytest.approx(2.8, abs=0.05), pytest.approx(5.2, abs=0.05)),
    ]


def test_nothing_is_found_in_silence():
    assert seconds(np.zeros(5000, np.float32), 2) == []
    assert seconds(np.full(5000, 1e-5, np.float32), 2) == []


def test_quiet_speech_is_speech():
    samples = sound(("silence", 1), ("speech", 2)) / 300
    assert seconds(samples, 30) == [(pytest.approx(0.8, abs=0.05), 3)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["speech", "silence"]), st.floats(0.01, 9)), min_size=1),
    st.floats(0.5, 8),
)
def test_pieces_are_in_order_short_enough_and_hold_all_speech(parts, longest):
    samples = sound(*parts)
    pieces = speech_pieces(samples, RATE, max_seconds=float(longest))
    covered = np.zeros(len(samples), bool)
    end_before = 0
    for start, end in pieces:
        assert end_before <= start < end <= len(samples)
        assert end - start <= longest * RATE
        covered[start:end] = True
        end_before = end
    at = 0
    for kind, length in parts:
        width = round(length * RATE)
        if kind == "speech" and width >= 100:  # a click is no speech
            assert covered[at : at + width].all()
        at += width
