"""The judge of speech on a real synthetic voice, where its files are."""

import shutil

import pytest

from mingle.checkpoints import packages
from mingle.evaluation import recogniser
from mingle.worlds.voices import VOICES, synthesise

HERE = all(packages.is_here(file) for file in recogniser.FILES.values())


def test_words_are_scored_without_case_marks_and_digits():
    assert recogniser.words_of("It's 12 o'clock, Anna!") == "it's twelve o'clock anna".split()


@pytest.mark.skipif(
    not HERE or shutil.which("flite") is None,
    reason="needs Whisper's files (mingle evaluate fetches them) and flite (make worlds)",
)
def test_a_clear_sentence_is_heard_word_for_word():
    pytest.importorskip("ctranslate2")
    voice = next(voice for voice in VOICES if voice.name == "rms")
    spoken = synthesise("please leave a message after the tone", voice)
    heard = recogniser.Recogniser().hear(spoken.samples)
    assert recogniser.words_of(heard) == spoken.text.split()
