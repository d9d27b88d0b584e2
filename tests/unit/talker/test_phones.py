"""From English text to phones: listed words, endings, compounds, rules, pauses."""

import pytest

from mingle.errors import InputError
from mingle.talker.text.phones import Pronouncer, read_words

WORDS = """
a ey
apple ae p ax l
b b iy
cat k ae t
dish d ih sh
make m ey k
stop s t aa p
the dh ax
""".strip().splitlines()


@pytest.fixture(scope="module")
def pronouncer():
    return Pronouncer(read_words(WORDS))


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("cat", "k ae t"),
        ("Cats", "k ae t s"),
        ("dishes", "d ih sh ih z"),
        ("the cat's", "dh ax k ae t s"),
        ("stopped", "s t aa p t"),
        ("making", "m ey k ih ng"),
        ("a cat", "ax k ae t"),
        ("the apple", "dh iy ae p ax l"),
        ("catmake", "k ae t m ey k"),
        ("BB", "b iy b iy"),
        ("shrick", "sh r ih k"),
    ],
)
def test_words_are_said(pronouncer, text, phones):
    assert " ".join(pronouncer.phones(text)) == f"pau {phones} pau"


def test_marks_are_pauses_and_never_two_at_once(pronouncer):
    said = pronouncer.phones("Cat... \u201ccat\u201d, (cat)!")
    assert said == ["pau", *["k", "ae", "t", "pau"] * 3]


def test_what_is_not_english_is_refused(pronouncer):
    with pytest.raises(InputError, match="speaks English"):
        pronouncer.phones("cat \u732b")
    with pytest.raises(InputError, match="no word"):
        pronouncer.phones("... !")
