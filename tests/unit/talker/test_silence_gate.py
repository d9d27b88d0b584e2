"""The silence gate: however the sound is cut, what is heard passes, and the end is trimmed."""

import pytest
import torch

from mingle.talker.silence import SilenceGate

GATE = SilenceGate(sample_rate_hz=1000)


def sound(*parts):
    """Seconds of tone (positive) or silence (negative)."""
    waves = [
        torch.sin(torch.arange(int(abs(seconds) * 1000)) * 0.5) * (0.5 if seconds > 0 else 0.0)
        for seconds in parts
    ]
    return torch.cat(waves)


def gated(wave, sizes):
    held, passed = None, []
    chunks = wave.split(sizes)
    for number, chunk in enumerate(chunks):
        out, held = GATE(chunk, held, last=number == len(chunks) - 1)
        passed.append(out)
    return passed


@pytest.mark.parametrize("size", [1, 37, 100, 250, 999, 10000])
def test_the_result_does_not_depend_on_the_chunks(size):
    wave = sound(0.4, -0.7, 0.3, -1.5)
    whole = GATE(wave, None, last=True)[0]
    assert torch.equal(torch.cat(gated(wave, size)), whole)
    assert whole.shape[0] == 1400 + 300  # up to the end of speech, and 0.3 s


def test_a_pause_passes_when_speech_follows():
    first, second = gated(sound(0.4, -0.6, 0.2, -0.1), [800, 500])
    assert first.shape[0] == 400
    assert second.shape[0] == 900


def test_silence_alone_leaves_a_tail():
    assert torch.cat(gated(torch.zeros(5000), 700)).shape[0] == 300


def test_speech_in_the_last_part_frame_is_kept():
    wave = sound(0.2, -0.2, 0.05)
    assert torch.equal(GATE(wave, None, last=True)[0], wave)
