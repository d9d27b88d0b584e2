"""The engine with a fake model: what many requests get together is what each gets alone."""

import asyncio
import threading
from contextlib import aclosing

import pytest
from engine_fakes import (
    FakeModel,
    FakeProcessor,
    FakeThinker,
    ask,
    end_of,
    engine,
    picture,
    script_engine,
    step_until,
    text_of,
    tokens_of,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mingle.engine.engine import Engine
from mingle.errors import CapacityError, InputError
from mingle.messages import Finished, Message, SamplingOptions, Text, TextDelta, Usage, user

SAMPLED = SamplingOptions(temperature=1.5, top_p=0.95, repetition_penalty=1.1, seed=7)
prompts = st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6)


def alone(request) -> list[int]:
    return tokens_of(engine().submit(request))


@settings(max_examples=12, deadline=None)
@given(prompts, st.integers(6, 40), st.booleans())
def test_a_batch_of_many_gives_the_tokens_that_each_request_gets_alone(texts, width, greedy):
    sampling = SamplingOptions() if greedy else SAMPLED
    requests = [ask(text, tokens=5 + i, sampling=sampling) for i, text in enumerate(texts)]
    together = engine(max_batch_tokens=width, max_requests=6)
    streams = [together.submit(request) for request in requests]
    assert [tokens_of(stream) for stream in streams] == [alone(request) for request in requests]


def test_requests_that_come_while_others_decode_change_nothing():
    first, second = ask("the first one"), ask("another, later")
    together = engine()
    one = together.submit(first)
    for _ in range(7):
        together.step()
    two = together.submit(second)
    assert tokens_of(two) == alone(second)
    assert tokens_of(one) == alone(first)


def test_requests_that_decode_share_one_step():
    model = FakeModel()
    together = engine(model)
    streams = [together.submit(ask(text, tokens=4)) for text in ("a", "bb", "ccc")]
    for stream in streams:
        list(stream)
    assert model.thinker.steps == [2 + 3 + 4, 3, 3, 3]


def test_usage_counts_what_was_read_and_written():
    events = list(engine().submit(ask(picture(1.0), "what?", tokens=3)))
    assert end_of(events) == Finished(
        reason="length", usage=Usage(prompt_tokens=10, completion_tokens=3, image_tokens=4)
    )


def test_the_end_token_ends_with_stop_and_is_counted_but_not_given_out():
    events = list(script_engine("yes").submit(ask("hi")))
    assert text_of(events) == "yes"
    assert tokens_of(events) == [*b"yes"]
    assert end_of(events).reason == "stop"
    assert end_of(events).usage.completion_tokens == 4


def test_characters_come_whole():
    answer = "na\u00efve \u4f60\u597d \U0001f600!"
    events = list(script_engine(answer).submit(ask("hi", tokens=50)))
    assert text_of(events) == answer
    assert not any("\ufffd" in event.text for event in events[:-1])


def test_a_stop_string_across_tokens_cuts_the_answer_before_it():
    events = list(script_engine("one, two. STOP and more").submit(ask("hi", stop=(" STOP",))))
    assert text_of(events) == "one, two."
    assert end_of(events).reason == "stop"


def test_what_only_looked_like_a_stop_string_is_given_out():
    events = list(script_engine("a ST b ST").submit(ask("hi", stop=("STOP",))))
    assert text_of(events) == "a ST b ST"


def test_thinking_comes_in_its_own_channel():
    script = "<think>\nhm, 2 < 3\n</think>\n\nyes"
    events = list(script_engine(script).submit(ask("hi", tokens=60, thinking=True)))
    assert text_of(events, "reasoning") == "hm, 2 < 3"
    assert text_of(events) == "yes"


def test_logprobs_come_with_every_token_when_asked_for():
    sampling = SamplingOptions(logprobs=2)
    events = list(engine().submit(ask("hello", tokens=5, sampling=sampling)))
    deltas = [event for event in events if isinstance(event, TextDelta)]
    logprobs = [value for delta in deltas for value in delta.logprobs]
    first = [options[0] for delta in deltas for options in delta.alternatives]
    assert len(logprobs) == 5
    assert list(zip(tokens_of(events), logprobs, strict=True)) == first  # greedy takes the best


def test_cancel_ends_a_request_at_once_and_frees_its_room_within_a_step():
    together = engine(max_requests=1, max_cache_tokens=40)
    one = together.submit(ask("the first one", tokens=20))
    two = together.submit(ask("the second", tokens=5))
    for _ in range(4):
        together.step()
    one.cancel()
    events = list(one)
    assert end_of(events).reason == "cancelled"
    assert tokens_of(events) == alone(ask("the first one"))[:4]
    assert together.load.reserved_tokens == 0
    together.step()
    assert together.load.running == 1
    assert tokens_of(two) == alone(ask("the second", tokens=5))


def test_a_waiting_request_can_be_cancelled():
    together = engine()
    stream = together.submit(ask("hello"))
    stream.cancel()
    stream.cancel()
    assert [event.reason for event in stream] == ["cancelled"]
    assert not together.step()


def test_a_second_turn_reuses_the_first_and_says_the_same():
    def turns(answer: str):
        said = Message(role="assistant", parts=(Text(text=answer),))
        return ask(tokens=8), (user(picture(2.0), "look at this"), said, user("and now?"))

    model = FakeModel()
    chat = engine(model)
    first = list(chat.submit(ask(picture(2.0), "look at this", tokens=8)))
    request, messages = turns("the answer")
    second = list(chat.submit(type(request)(messages=messages, max_new_tokens=8)))
    fresh = list(engine().submit(type(request)(messages=messages, max_new_tokens=8)))
    assert tokens_of(second) == tokens_of(fresh)
    assert end_of(first).usage.cached_tokens == 0
    assert end_of(second).usage.cached_tokens == 17  # the picture, the text, the line's end
    assert model.embedded[1] == end_of(second).usage.prompt_tokens - 17


def test_another_picture_is_not_the_same_prefix():
    chat = engine()
    list(chat.submit(ask("see ", picture(2.0), "what is it?")))
    events = list(chat.submit(ask("see ", picture(2.5), "what is it?")))
    assert end_of(events).usage.cached_tokens == 3  # the token before the picture is read again
    assert tokens_of(events) == alone(ask("see ", picture(2.5), "what is it?"))


def test_an_interrupted_answer_leaves_its_prefix():
    chat = engine()
    stream = chat.submit(ask("a long question"))
    step_until(chat, lambda: len(chat.model.thinker.steps) == 3)
    stream.cancel()
    events = list(chat.submit(ask("a long question, again")))
    assert end_of(events).usage.cached_tokens == len("a long question")


def test_a_request_for_no_tokens_prepares_the_next_one():
    chat = engine()
    assert end_of(list(chat.submit(ask("frame by frame", tokens=0)))).reason == "length"
    events = list(chat.submit(ask("frame by frame, what is seen?")))
    assert end_of(events).usage.cached_tokens == len("frame by frame")


def test_remembered_caches_stay_within_their_limit():
    chat = engine(max_remembered_bytes=25_000)  # a cache of 64 tokens takes 8 KiB
    for text in ("a", "b", "c", "d", "e"):
        list(chat.submit(ask(text)))
    assert 0 < chat.load.remembered_bytes <= 25_000
    assert end_of(list(chat.submit(ask("e or so")))).usage.cached_tokens == 1
    assert end_of(list(chat.submit(ask("a or so")))).usage.cached_tokens == 0


class PickyThinker(FakeThinker):
    """Fails whenever a '!' is read."""

    def __call__(self, hidden, positions, modality, attend):
        if (hidden == self.table[ord("!")]).all(-1).any():
            raise RuntimeError("no shouting")
        return super().__call__(hidden, positions, modality, attend)


def test_an_error_in_one_request_does_not_touch_the_others():
    class Picky(PickyThinker):
        def logits(self, hidden):
            scores = super().logits(hidden)
            scores[:, ord("!")] = -9e9
            return scores

    together = engine(FakeModel(Picky()))
    good, bad = together.submit(ask("hello")), together.submit(ask("hello!"))
    assert end_of(list(bad)) == Finished(
        reason="error",
        usage=Usage(prompt_tokens=7, completion_tokens=0),
        error="RuntimeError: no shouting",
    )
    assert tokens_of(good) == tokens_of(engine(FakeModel(Picky())).submit(ask("hello")))


class StutteringProcessor(FakeProcessor):
    """Its decoders break on the first token as long as `broken` is set."""

    broken = True

    def decoder(self):
        decoder = super().decoder()
        if self.broken:
            decoder.feed = lambda ids: 1 / 0
        return decoder


def test_a_fault_of_our_own_leaves_nobody_waiting_and_the_engine_goes_on():
    processor = StutteringProcessor()
    with Engine(FakeModel(), processor) as running:
        events = list(running.submit(ask("hello")))
        assert end_of(events).error == "ZeroDivisionError: division by zero"
        processor.broken = False
        assert tokens_of(running.submit(ask("hello"))) == alone(ask("hello"))


def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers():
    with pytest.raises(InputError, match="1013 positions, the model has 1000"):
        engine().submit(ask("x" * 992))


def test_closing_ends_what_runs_and_refuses_what_comes():
    running = engine().start()
    stream = running.submit(ask("hello", tokens=900))
    running.close()
    running.close()
    assert end_of(list(stream)).reason == "cancelled"
    with pytest.raises(CapacityError, match="closed"):
        running.submit(ask("hello"))


def test_many_threads_may_submit_and_cancel():
    answers: dict[int, list[int]] = {}

    def talk(number: int) -> None:
        stream = running.submit(ask("x" * number, tokens=30))
        if number % 3 == 0:
            stream.cancel()
        answers[number] = tokens_of(stream)

    with engine(max_requests=8, max_batch_tokens=16) as running:
        threads = [threading.Thread(target=talk, args=(number,)) for number in range(1, 25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert running.load.reserved_tokens == 0
    for number, answer in answers.items():
        expected = alone(ask("x" * number, tokens=30))
        assert answer == expected[: len(answer)]
        assert number % 3 == 0 or len(answer) == 30


def test_asyncio_readers_share_the_engine_and_leaving_cancels():
    async def read(running, request, most: int) -> list:
        events = []
        async with aclosing(running.stream(request)) as stream:
            async for event in stream:
                events.append(event)
                if len(events) == most:
                    break
        return events

    async def main():
        with engine() as running:
            texts = ["one", "two two", "three three three"]
            got = await asyncio.gather(*(read(running, ask(text), 99) for text in texts))
            await read(running, ask("left early", tokens=900), 2)
            load = running.load
        return texts, got, load

    texts, got, load = asyncio.run(main())
    assert [tokens_of(events) for events in got] == [alone(ask(text)) for text in texts]
    assert load.reserved_tokens == 0


def test_a_reader_whose_loop_is_gone_does_not_stop_the_engine():
    async def abandon(running):
        generator = running.stream(ask("hello", tokens=900))
        await anext(generator)
        return generator

    with engine() as running:
        kept = asyncio.run(abandon(running))  # noqa: F841  held, so that nobody closes it
        assert tokens_of(running.submit(ask("still here"))) == alone(ask("still here"))


def test_the_fake_listens_to_all_of_its_prompt():
    answers = {tuple(alone(ask(text))) for text in ("hello", "jello", "hellow", "x")}
    assert len(answers) == 4, "a fake that forgets its prompt would prove nothing"
    assert all(len(set(answer)) > 5 for answer in answers)
