"""Thoughts are told from the answer, however the text is cut on its way."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mingle.processing.reasoning import ReasoningSplitter

TAGS = ("<think>", "</think>")
WHOLE = "\n<think>\nFirst 1 < 2,\n\nso </thin air.\n</think>\n\nIt is <think>2</think>."


def split(pieces: list[str]) -> dict[str, str]:
    splitter = ReasoningSplitter(TAGS)
    out = {"reasoning": "", "answer": ""}
    for channel, text in [p for piece in pieces for p in splitter.feed(piece)] + splitter.finish():
        out[channel] += text
    return out


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_cuts_change_nothing(cuts):
    places = sorted({0, *cuts, len(WHOLE)})
    pieces = [WHOLE[a:b] for a, b in pairwise(places)]
    assert split(pieces) == {
        "reasoning": "First 1 < 2,\n\nso </thin air.",
        "answer": "It is <think>2</think>.",
    }


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("Plain.", "", "Plain."),
        ("  indented", "", "  indented"),
        ("<thin", "", "<thin"),
        ("", "", ""),
        ("<think>never closed </thi", "never closed </thi", ""),
        ("<think></think>ok", "", "ok"),
    ],
)
def test_answers_without_whole_thoughts(text, reasoning, answer):
    assert split(list(text)) == {"reasoning": reasoning, "answer": answer}


def test_nothing_waits_longer_than_it_must():
    splitter = ReasoningSplitter(TAGS)
    assert splitter.feed("Hel") == [("answer", "Hel")]
    assert splitter.feed("lo") == [("answer", "lo")]
