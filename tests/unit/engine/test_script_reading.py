"""A talker of aligned text in the engine: pace, pitch, loudness, refusals, cloning."""

import numpy as np
import pytest
import torch
from miniature.speech import tiny_aligned

from mingle.engine.speak import Speaker
from mingle.errors import InputError
from mingle.talker.instruction import Style
from mingle.talker.text.phones import Pronouncer
from mingle.talker.voice import Voice

TEXT = "Hello there. Hello!"


@pytest.fixture(scope="module")
def speaker():
    words = {"hello": ("hh", "ax", "l", "ow"), "there": ("dh", "eh", "r")}
    return Speaker(tiny_aligned(), Pronouncer(words))


def sound(speaker, **style):
    return np.concatenate([c.samples for c in speaker.speak(TEXT, style=Style(**style))])


def test_the_same_seed_says_the_same(speaker):
    assert np.array_equal(sound(speaker), sound(speaker))


def test_speech_made_faster_is_shorter_by_the_factor(speaker):
    script_lengths = []
    for speed in ("1", "2"):
        pieces = list(
            speaker.speak("hello there hello there hello there", style=Style(speed=speed))
        )
        script_lengths.append(sum(len(c.samples) for c in pieces))
    assert script_lengths[0] / script_lengths[1] == pytest.approx(2, rel=0.25)


def test_louder_is_louder_and_never_beyond_full_scale(speaker):
    quiet, loud = sound(speaker, volume="low"), sound(speaker, volume="2")
    assert np.abs(quiet).sum() < np.abs(loud).sum()
    assert np.abs(loud).max() <= 1.0


def test_what_it_cannot_do_is_refused(speaker):
    with pytest.raises(InputError, match="follows no emotion"):
        sound(speaker, emotion="happy")
    with pytest.raises(InputError, match=r"factor from 0.5 to 2.0"):
        sound(speaker, pitch="3")
    with pytest.raises(InputError, match="plain text"):
        list(speaker.sound("rain"))


def test_another_voice_sounds_otherwise(speaker):
    rng = np.random.default_rng(0)
    time = np.arange(32_000) / 16_000
    low = np.sin(2 * np.pi * 110 * time) * 0.3 + rng.standard_normal(32_000) * 0.01
    vector = speaker.model.hear_speaker(low.astype(np.float32))
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    voice = Voice(name="low", speakers=torch.from_numpy(vector)[None])
    said = np.concatenate([c.samples for c in speaker.speak(TEXT, voice=voice)])
    other = sound(speaker)
    assert len(said) != len(other) or not np.allclose(said, other)
