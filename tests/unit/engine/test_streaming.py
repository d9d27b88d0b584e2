"""The text side of an answer: however it is cut into tokens, the same text comes out."""

from engine_fakes import FakeProcessor
from hypothesis import given
from hypothesis import strategies as st

from mingle.engine.sampling import Choice
from mingle.engine.streaming import AnswerWriter, StopFinder, may_begin

stops = st.lists(st.text("ab", min_size=1, max_size=3), max_size=3)


def writer(stop: list[str]) -> AnswerWriter:
    return AnswerWriter(FakeProcessor().decoder(), FakeProcessor().splitter(), stop)


def cut(text: str, sizes: list[int]) -> list[str]:
    pieces = []
    for size in [*sizes, len(text)]:
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@given(st.text("abc", max_size=20), stops, st.lists(st.integers(0, 5)))
def test_stop_strings_are_found_across_any_cuts(text, stop, sizes):
    finder, given_out = StopFinder(stop), ""
    for piece in cut(text, sizes):
        if not finder.found:
            given_out += finder.push(piece)
    found = [at for at in map(text.find, stop) if at >= 0]
    if len(set(map(len, stop))) <= 1:  # with several lengths the first complete one wins
        assert finder.found == bool(found)
        assert (
            given_out + ("" if finder.found else finder.flush()) == text[: min(found, default=99)]
        )
    assert text.startswith(given_out)


@given(st.text("ab", max_size=8), stops)
def test_may_begin_is_the_longest_proper_beginning(text, markers):
    endings = [text[-n:] for n in range(1, len(text) + 1)]
    fitting = [e for e in endings if any(m.startswith(e) and m != e for m in markers)]
    assert may_begin(text, markers) == max(map(len, fitting), default=0)


def test_stop_strings_do_not_count_while_thinking():
    answer = writer(["end"])
    deltas = []
    for byte in b"<think>the end</think>at the end of it":
        if not answer.stopped:
            deltas += answer.push(Choice(token=byte))
    deltas += answer.finish()
    assert "".join(d.text for d in deltas if d.channel == "reasoning") == "the end"
    assert "".join(d.text for d in deltas if d.channel == "answer") == "at the "


def test_every_token_is_named_once():
    answer = writer(["\u4f60!"])
    tokens = [*"a\u4f60\u597d\u4f60".encode()]
    deltas = [delta for token in tokens for delta in answer.push(Choice(token=token))]
    deltas += answer.finish()
    assert [t for delta in deltas for t in delta.token_ids] == tokens
    assert "".join(delta.text for delta in deltas) == "a\u4f60\u597d\u4f60"


def test_a_character_cut_off_by_the_end_is_marked_not_lost():
    answer = writer([])
    deltas = [*answer.push(Choice(token=ord("a"))), *answer.push(Choice(token=0xE4))]
    deltas += answer.finish()
    assert [delta.text for delta in deltas] == ["a", "\ufffd"]
