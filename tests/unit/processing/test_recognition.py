"""Requests for a transcript, steered by language, dialect, context and hotwords."""

import pytest

from mingle.checkpoints.flash_omni_2.processor import TEMPLATE
from mingle.errors import InputError
from mingle.messages import Audio, Text
from mingle.processing.recognition import recognition_request, split_recognition

PROMPT = TEMPLATE.recognition
PLAIN = "Please recognize the language of this speech and transcribe it. Format: oral."


def text_of(request) -> str:
    (message,) = request.messages
    text, audio = message.parts
    assert isinstance(text, Text)
    assert audio == Audio(source="a.wav")
    return text.text


def test_without_hints_only_the_instruction_is_asked():
    request = recognition_request("a.wav", PROMPT)
    assert text_of(request) == PLAIN
    assert request.prefill == ""


def test_context_and_hotwords_follow_as_the_model_learned_them():
    request = recognition_request(
        "a.wav", PROMPT, context="Culinary Traditions", hotwords=["Gansu Province", " Uyghur ", ""]
    )
    assert text_of(request) == (
        PLAIN + "This is an audio about Culinary Traditions."
        "This audio may contains the following words or phrases:Gansu Province,Uyghur."
    )


@pytest.mark.parametrize(
    ("hints", "prefill"),
    [
        ({"language": "zh"}, "Chinese\t"),
        ({"language": "EN"}, "English\t"),
        ({"language": "Chinese"}, "Chinese\t"),
        ({"language": "zh", "dialect": "\u4e0a\u6d77"}, "\u4e0a\u6d77\t"),
    ],
)
def test_a_known_language_or_dialect_begins_the_answer(hints, prefill):
    assert recognition_request("a.wav", PROMPT, **hints).prefill == prefill


def test_braces_in_hints_are_text():
    request = recognition_request("a.wav", PROMPT, context="{language}", hotwords=["{hint}"])
    assert "about {language}." in text_of(request)
    assert "phrases:{hint}." in text_of(request)


def test_a_hotword_with_the_separator_is_refused():
    with pytest.raises(InputError, match="separates hotwords"):
        recognition_request("a.wav", PROMPT, hotwords=["one, two"])


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ("Chinese\tni hao", ("Chinese", "ni hao")),
        ("only words ", ("", "only words")),
        ("English\ta\tb", ("English", "a\tb")),
    ],
)
def test_language_and_transcript_are_taken_apart(answer, parts):
    assert split_recognition(answer, PROMPT) == parts
