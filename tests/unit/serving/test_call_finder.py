"""Calls among words, however the text is cut."""

import random

import pytest

from mingle.serving.tools import CallFinder

ANSWER = (
    'Well <b>.<tool_call>{"name": "a", "arguments": {"x": 1}}</tool_call>'
    " and <tool_call>nonsense</tool_call>!"
)


def read(pieces, names=("a",)):
    finder = CallFinder(names)
    text, calls = "", []
    for piece in pieces:
        more, found = finder.feed(piece)
        text, calls = text + more, calls + found
    return text + finder.finish(), [(call.number, call.name, call.arguments) for call in calls]


@pytest.mark.parametrize("seed", range(20))
def test_calls_are_the_same_however_the_answer_is_cut(seed):
    draw = random.Random(seed)
    cuts = sorted(draw.sample(range(len(ANSWER)), draw.randint(0, 12)))
    pieces = [ANSWER[a:b] for a, b in zip([0, *cuts], [*cuts, len(ANSWER)], strict=True)]
    text, calls = read(pieces)
    assert text == "Well <b>. and <tool_call>nonsense</tool_call>!"
    assert calls == [(0, "a", '{"x": 1}')]


def test_a_call_of_an_unknown_function_is_text():
    assert read([ANSWER], names=("b",)) == (ANSWER, [])


def test_a_call_that_never_ends_is_text():
    assert read(["so <tool_call>{"]) == ("so <tool_call>{", [])
