"""The talk world: every conversation ends with an exact answer, of its split."""

import shutil

import numpy as np
import pytest

from mingle.messages import Audio, Image, Text, Video
from mingle.worlds import sprites, talk

pytestmark = pytest.mark.skipif(
    not sprites.FONT.exists(), reason="the emoji font is not installed (make worlds)"
)


@pytest.mark.parametrize("name", list(talk.CONVERSATIONS))
def test_conversations_alternate_and_end_with_an_answer(name: str):
    if name == "spoken" and shutil.which("flite") is None:
        pytest.skip("flite is not installed (make worlds)")
    made = talk.CONVERSATIONS[name](np.random.default_rng(0), "train")
    roles = [message.role for message in made.messages]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    assert len(made.kinds) == len(made.answers) == len(roles) // 2
    media = [part for message in made.messages for part in message.parts if type(part) is not Text]
    assert {type(part) for part in media} == {
        "films": {Video},
        "spoken": {Audio, Image},
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


def test_equal_seeds_give_equal_conversations():
    one, two = (talk.several_about_picture(np.random.default_rng(5), "held_out") for _ in range(2))
    assert one.answers == two.answers
    assert (one.messages[0].parts[1].source == two.messages[0].parts[1].source).all()
