"""A conversation as data: what is kept of an answer that was interrupted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingle.engine.session import Session, heard_text
from mingle.messages import Message, SpeechChunk, Text, user


def spoken(*texts: str, seconds: float = 2.0) -> list[SpeechChunk]:
    samples = np.zeros(int(seconds * 100), np.float32)
    return [
        SpeechChunk(samples=samples, sample_rate_hz=100, start_s=seconds * i, text=text)
        for i, text in enumerate(texts)
    ]


def assistant(text: str) -> Message:
    return Message(role="assistant", parts=(Text(text=text),))


def test_interrupted_speech_is_cut_from_history():
    session = Session().asked("tell me").answered("One two three. Four five six. Seven.")
    chunks = spoken("One two three. ", "Four five six. ", "Seven.")
    cut = session.interrupted(chunks, played_s=3.3)
    assert cut.messages == (user("tell me"), assistant("One two three. Four five"))
    assert session.last_answer.endswith("Seven.")  # the old session is as it was


def test_an_answer_of_which_nothing_was_heard_goes():
    session = Session().asked("tell me").answered("One two three.")
    cut = session.interrupted(spoken("One two three."), played_s=0.0)
    assert cut.messages == (user("tell me"),)


def test_a_script_without_spaces_is_cut_between_characters():
    assert heard_text(spoken("\u4f60\u597d\u4e16\u754c"), 1.0) == "\u4f60\u597d"


@given(st.lists(st.text("ab ", max_size=8), max_size=4), st.floats(0, 10))
def test_what_was_heard_is_a_beginning_and_grows_with_time(texts, played):
    chunks = spoken(*texts)
    heard = heard_text(chunks, played)
    assert "".join(texts).startswith(heard)
    assert heard_text(chunks, played + 0.5).startswith(heard)
    assert heard_text(chunks, 2.0 * len(texts)) == "".join(texts).rstrip()


@pytest.mark.parametrize("played", [0.3, 0.9, 1.4])
def test_words_are_whole(played):
    assert heard_text(spoken("alpha beta gamma"), played) in ("", "alpha", "alpha beta")


def test_a_system_message_comes_first_and_can_be_taken_back():
    session = Session().asked("hello").with_system("be brief").with_system("be kind")
    assert [message.role for message in session.messages] == ["system", "user"]
    assert session.with_system("") == Session().asked("hello")
