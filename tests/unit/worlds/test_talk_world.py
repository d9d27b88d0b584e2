"""The talk world: every conversation ends with an exact answer, of its split."""

import shutil

import numpy as np
import pytest

from mingle.messages import Audio, Image, Text, Video
from mingle.worlds import sprites, talk
from mingle.worlds.sentences import WORDNET
from mingle.worlds.voices import HELD_OUT_VOICES, VOICES

pytestmark = pytest.mark.skipif(
    not sprites.FONT.exists(), reason="the emoji font is not installed (make worlds)"
)


SPOKEN = {
    "spoken": {Audio, Image},
    "going_on": {Audio, Image},
    "spoken_film": {Audio, Video},
    "dictation": {Audio},
}


def needs_voices():
    if not (shutil.which("flite") and shutil.which("espeak-ng") and WORDNET.exists()):
        pytest.skip("needs flite, espeak-ng and wordnet-base (make worlds)")


@pytest.mark.parametrize("name", list(talk.CONVERSATIONS))
def test_conversations_alternate_and_end_with_an_answer(name: str):
    if name in SPOKEN:
        needs_voices()
    made = talk.CONVERSATIONS[name](np.random.default_rng(0), "train")
    roles = [message.role for message in made.messages]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    assert len(made.kinds) == len(made.answers) == len(roles) // 2
    media = [part for message in made.messages for part in message.parts if type(part) is not Text]
    assert {type(part) for part in media} == {
        "films": {Video},
        **SPOKEN,
    }.get(name, {Image})


def test_questions_about_places_have_all_four_answers():
    made = [talk.about_places(np.random.default_rng(i), "train") for i in range(40)]
    assert {one.kinds for one in made} == {("where",)}
    assert {one.answers[0] for one in made} == {"left", "right", "above", "below"}


def test_a_wish_for_paint_names_the_picture_to_be_made():
    made = talk.wishing_paint(np.random.default_rng(2), "train")
    first, second = made.answers
    colour = made.messages[2].parts[0].text.removeprefix("Now paint it ").removesuffix(".")
    assert second.split()[1:] == [colour, *first.split()[1:]]


def test_voices_are_dealt_between_the_splits():
    taught = {voice.name for group in talk.VOICES_OF["train"] for voice in group}
    unheard = {voice.name for group in talk.VOICES_OF["held_out"] for voice in group}
    assert unheard == HELD_OUT_VOICES
    assert taught | unheard == {voice.name for voice in VOICES}
    assert not taught & unheard


def test_a_dictation_is_answered_in_the_letters_that_recognition_is_scored_on():
    needs_voices()
    made = talk.dictation(np.random.default_rng(3), "train")
    assert set(made.answers[0]) <= set("abcdefghijklmnopqrstuvwxyz' ")
    sound = next(part for part in made.messages[0].parts if isinstance(part, Audio))
    samples, rate = sound.source
    letters_a_second = len(made.answers[0]) / (len(samples) / rate)
    assert 3 < letters_a_second < 30
    assert np.abs(samples).max() > 0.05


def test_equal_seeds_give_equal_conversations():
    one, two = (talk.several_about_picture(np.random.default_rng(5), "held_out") for _ in range(2))
    assert one.answers == two.answers
    assert (one.messages[0].parts[1].source == two.messages[0].parts[1].source).all()
