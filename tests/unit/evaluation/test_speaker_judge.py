"""The judge of voices on synthetic ones, where its file is."""

import shutil

import numpy as np
import pytest

from mingle.checkpoints import packages
from mingle.evaluation import speaker_judge
from mingle.evaluation.abilities import voices
from mingle.worlds.voices import VOICES, synthesise


def test_silence_is_left_out():
    loud, quiet = np.full(960, 0.5, np.float32), np.full(960, 0.001, np.float32)
    assert len(speaker_judge.without_silence(np.concatenate((quiet, loud, quiet)))) == 960


def test_bands_have_a_row_every_ten_milliseconds():
    mel = speaker_judge.mel_power(np.zeros(16_000, np.float32))
    assert mel.shape == (101, 40)


@pytest.mark.skipif(
    not packages.is_here(speaker_judge.FILE) or shutil.which("flite") is None,
    reason="needs Resemblyzer's file (mingle evaluate fetches it) and flite (make worlds)",
)
def test_a_voice_is_nearer_to_itself_than_to_another():
    judge = speaker_judge.SpeakerJudge()
    said = ("the weather is fine today in the north", "please call me back this evening")
    heard = {
        voice.name: [judge.hear(synthesise(text, voice).samples) for text in said]
        for voice in VOICES
        if voice.name in ("slt", "rms")
    }
    own = min(float(first @ second) for first, second in heard.values())
    other = float(heard["slt"][0] @ heard["rms"][1])
    assert own > 0.7 > other


def test_the_likest_voice_is_the_one_with_the_smallest_angle():
    enrolled = {"low": np.array([1.0, 0.0]), "high": np.array([0.0, 1.0])}
    assert voices._nearest(np.array([0.6, 0.8]), enrolled) == "high"


def test_what_was_asked_became_a_ratio_of_sums():
    long, short = np.zeros(300, np.float32), np.zeros(100, np.float32)
    assert voices._became("speed", [long, short], [short, short], len).value == 2.0
