"""A live conversation as data: what the model reads, what is forgotten, what was heard."""

import math
from dataclasses import replace

import numpy as np
import pytest

from mingle.messages import Image, SpeechChunk, Text
from mingle.serving.faults import AbsentError
from mingle.serving.realtime.conversation import (
    Conversation,
    Item,
    Window,
    call_item,
    result_item,
)

PICTURE, WORD = 100, 1


def count(part):
    return PICTURE if isinstance(part, Image) else WORD * len(part.text.split())


def picture(name):
    return Image(source=name)


def shown(frames, at=range(10**6), words=()):
    conversation = Conversation(count)
    for i in range(frames):
        conversation.add(Item(id=f"f{i}"), (picture(str(i)),), float(at[i]))
    for i, word in enumerate(words):
        conversation.add(Item(id=f"w{i}"), (Text(text=word),), 1e6)
    return conversation


def sources(conversation):
    parts = conversation.messages("")[0].parts
    return [part.source for part in parts if isinstance(part, Image)]


def spoken(text, seconds=1.0, start=0.0):
    samples = np.zeros(round(24_000 * seconds), np.float32)
    return SpeechChunk(samples=samples, sample_rate_hz=24_000, start_s=start, text=text)


def test_neighbours_of_one_role_are_one_message():
    conversation = shown(2, words=("what is this?",))
    answer = Item(id="a", role="assistant", text="a cat")
    conversation.add(answer, (), 0.0)
    conversation.add(Item(id="q"), (Text(text="sure?"),), 0.0)
    roles = [message.role for message in conversation.messages("be brief")]
    assert roles == ["system", "user", "assistant", "user"]
    assert len(conversation.messages("")[0].parts) == 3


def test_pictures_are_forgotten_by_age_and_words_are_not():
    conversation = shown(10, words=("hello",))
    window = Window(most=100, since_s=0.0, kept_s=6.0)
    assert conversation.stale(budget=10**6, window=window) == []  # none is too old yet
    stale = conversation.stale(budget=10**6, window=replace(window, since_s=1.0))
    assert len(stale) == 6
    conversation.forget(stale)
    assert sources(conversation) == ["6", "7", "8", "9"]
    assert conversation.messages("")[0].parts[-1] == Text(text="hello")


def test_too_many_pictures_are_thinned_and_the_whole_past_stays_in_view():
    """A film of ten minutes, a frame a second: never more than 48, at most twice as far apart."""
    conversation = shown(0)
    window = Window(most=48, since_s=-math.inf, kept_s=-math.inf)
    strides = 0
    for i in range(600):
        conversation.add(Item(id=f"f{i}"), (picture(str(i)),), float(i))
        stale = conversation.stale(budget=10**6, window=window)
        strides += bool(stale)
        conversation.forget(stale)
        seconds = [int(name) for name in sources(conversation)]
        gaps = np.diff(seconds)
        assert len(seconds) <= 48
        assert seconds[0] == 0
        assert (gaps[-min(i, 11) :] == 1).all()  # the recent ones are all there
        assert gaps.max(initial=1) <= 2 * max(1, i / 12)
    assert strides == 23  # so the rest is read again every 25 s only


def test_too_much_is_forgotten_in_strides_so_that_the_rest_stays_the_same():
    conversation = shown(0)
    strides = 0
    for i in range(100):
        conversation.add(Item(id=f"f{i}"), (picture(str(i)),), float(i))
        stale = conversation.stale(budget=2000)
        strides += bool(stale)
        conversation.forget(stale)
        assert conversation.num_tokens <= 2000
    assert strides <= 22
    assert sources(conversation)[-1] == "99"
    assert len(conversation.items) == 100  # the client still knows them


def test_pictures_go_before_words():
    conversation = shown(3, words=("one two three",))
    conversation.add(Item(id="last"), (Text(text="now?"),), 0.0)
    stale = conversation.stale(budget=200)
    conversation.forget(stale)
    texts = [part.text for part in conversation.messages("")[0].parts if isinstance(part, Text)]
    assert texts == ["one two three", "now?"]


def test_words_stand_with_the_last_picture_where_the_model_reads_words_first():
    conversation = shown(3)
    before = conversation.messages("", words_first=True)
    conversation.add(Item(id="q"), (Text(text="what is this?"),), 0.0)
    earlier, asked = conversation.messages("", words_first=True)
    assert earlier.parts == before[0].parts[:2]
    assert asked.parts == (picture("2"), Text(text="what is this?"))
    conversation.add(Item(id="f3"), (picture("3"),), 0.0)
    conversation.add(Item(id="more"), (Text(text="and this?"),), 0.0)
    *same, last = conversation.messages("", words_first=True)
    assert same == [earlier, asked]
    assert last.parts == (picture("3"), Text(text="and this?"))


def test_an_interrupted_answer_counts_as_far_as_it_was_heard():
    conversation = shown(0, words=("tell me",))
    answer = Item(id="a", role="assistant", text="One two. Three four.")
    answer.chunks = [spoken("One two. "), spoken("Three four.", start=1.0)]
    conversation.add(answer, (), 0.0)
    answer.heard_s = 1.0
    assert conversation.messages("")[1].parts[0].text == "One two."
    answer.heard_s = 0.0
    assert len(conversation.messages("")) == 1


def test_calls_and_results_are_written_as_the_model_knows_them():
    conversation = shown(0, words=("light, please",))
    item, part = call_item(None, "c1", "light", '{"on": true}')
    conversation.add(item, (part,), 0.0)
    item, part = result_item(None, "c1", "done")
    conversation.add(item, (part,), 0.0)
    _, call, result = conversation.messages("")
    assert (call.role, result.role) == ("assistant", "user")
    assert '{"name": "light", "arguments": {"on": true}}' in call.parts[0].text
    assert "done" in result.parts[0].text


def test_unknown_items_are_told_by_name():
    conversation = shown(1)
    with pytest.raises(AbsentError, match="nothing"):
        conversation.remove("nothing")
    with pytest.raises(AbsentError, match="nowhere"):
        conversation.add(Item(id="x"), (Text(text="x"),), 0.0, after="nowhere")
