"""Phones found by laying a recording along one that tells them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from mingle.training.alignment import warp, with_phones
from mingle.worlds.voices import VOICES, synthesise


def test_a_path_follows_a_recording_that_lingers_and_hurries():
    told = np.eye(12)[np.arange(12)]
    heard = told[[0, 0, 0, 1, 2, 3, 4, 5, 6, 8, 10, 11]]
    assert warp(heard, told).tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 8, 10, 11]


def test_a_path_never_goes_back_and_ends_at_the_end():
    rng = np.random.default_rng(0)
    path = warp(rng.normal(size=(50, 8)), rng.normal(size=(35, 8)))
    assert (np.diff(path) >= 0).all()
    assert path[0] == 0
    assert path[-1] == 34


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite (make worlds)")
def test_phones_of_a_voice_are_found_within_hundredths_of_a_second():
    voice = next(voice for voice in VOICES if voice.name == "rms")
    spoken = synthesise("the old man put a green book on the kitchen table", voice, speed=1.1)
    found = with_phones(replace(spoken, phones=()))
    assert [phone.name for phone in found.phones] == [phone.name for phone in spoken.phones]
    off = [abs(a.end_s - b.end_s) for a, b in zip(found.phones, spoken.phones, strict=True)]
    assert np.median(off) < 0.02
    assert found.phones[-1].end_s == pytest.approx(len(spoken.samples) / 16_000)
