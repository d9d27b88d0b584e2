"""The assistant and the engine with a whole model: the miniature, random weights, every sense."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_fakes import end_of, tokens_of
from miniature import write_miniature

from mingle.engine.assistant import Assistant, load
from mingle.engine.engine import Engine
from mingle.engine.scheduler import Limits
from mingle.engine.session import Session
from mingle.errors import CapacityError, ConfigError, InputError
from mingle.messages import Request, SamplingOptions

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp("miniature") / "model")


@pytest.fixture(scope="module")
def assistant(folder: Path) -> Iterator[Assistant]:
    with load(folder) as assistant:
        yield assistant


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8)


def sound(seconds: float, seed: int = 0) -> tuple[np.ndarray, int]:
    noise = np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    return (0.1 * noise).astype(np.float32), RATE


@pytest.fixture(scope="module")
def requests(assistant: Assistant) -> list[Request]:
    """One of each kind, greedy and drawn."""
    ask = assistant.request
    return [
        ask("Hello, who are you?", max_new_tokens=12),
        ask("What is this?", images=[image(1), image(2)], max_new_tokens=9),
        ask("And this?", audio=[sound(0.5)], max_new_tokens=14, temperature=1.0, seed=5),
        ask("What happens?", video=[[image(i) for i in range(4)]], max_new_tokens=7),
        ask("x" * 150, max_new_tokens=5, top_k=20, temperature=0.7, repetition_penalty=1.3, seed=1),
    ]


def fresh(assistant: Assistant, **limits: int) -> Engine:
    return Engine(assistant.need("vision", "audio"), assistant.processor, Limits(**limits))


@pytest.fixture(scope="module")
def alone(assistant: Assistant, requests: list[Request]) -> list[list[int]]:
    return [tokens_of(fresh(assistant).submit(request)) for request in requests]


@pytest.mark.parametrize("width", [16, 4096])
def test_a_batch_of_many_gives_the_tokens_that_each_request_gets_alone(
    assistant, requests, alone, width
):
    together = fresh(assistant, max_batch_tokens=width, max_requests=8)
    streams = [together.submit(request) for request in requests]
    assert [tokens_of(stream) for stream in streams] == alone


def test_interleaved_requests_equal_separate_ones(assistant, requests, alone):
    together = fresh(assistant, max_batch_tokens=100, max_requests=8)
    streams = []
    for request in requests:
        streams.append(together.submit(request))
        together.step()
        together.step()
    assert [tokens_of(stream) for stream in streams] == alone


def test_a_neighbour_that_is_cancelled_changes_nothing(assistant, requests, alone):
    together = fresh(assistant)
    streams = [together.submit(request) for request in requests]
    for _ in range(3):
        together.step()
    streams[1].cancel()
    got = [tokens_of(stream) for stream in streams]
    assert got[1] == alone[1][: len(got[1])]
    assert 1 <= len(got[1]) <= 3
    assert got[:1] + got[2:] == alone[:1] + alone[2:]


def test_a_conversation_with_a_picture_reuses_its_prefix_and_says_the_same(assistant):
    def turn(session: Session, engine: Engine):
        request = assistant.ask(session.messages, max_new_tokens=8)
        return list(engine.submit(request))

    chat = fresh(assistant)
    session = assistant.request("What is this?", images=[image(1)])
    session = Session(messages=session.messages)
    encoded = []
    assistant.model.vision.register_forward_hook(lambda *_: encoded.append(1))
    first = turn(session, chat)
    assert len(encoded) == 1
    session = session.answered("a cat").asked("Sure?")
    second = turn(session, chat)
    assert len(encoded) == 1, "the picture is not looked at again"
    third = turn(session.answered("yes").asked("Really?"), chat)
    usages = [end_of(events).usage for events in (first, second, third)]
    assert usages[0].cached_tokens == 0
    assert usages[1].cached_tokens == usages[0].prompt_tokens
    assert usages[2].cached_tokens == usages[1].prompt_tokens
    assert tokens_of(second) == tokens_of(turn(session, fresh(assistant)))
    again = session.answered("yes").asked("Really?")
    assert tokens_of(third) == tokens_of(turn(again, fresh(assistant)))


def test_chat_answers_with_text_and_counts_by_kind(assistant):
    reply = assistant.chat("Hm?", images=[image(3)], audio=[sound(1.0)], max_new_tokens=6)
    assert str(reply) == reply.text
    assert reply.reason in ("stop", "length")
    assert reply.usage.image_tokens == 6  # 64 x 96 pixels: 2 x 3 tokens of 32 x 32
    assert reply.usage.audio_tokens == 25  # a second


def test_closing_a_stream_cancels_its_request(assistant):
    stream = assistant.stream("tell me a long story", max_new_tokens=4000)
    next(stream)
    stream.close()
    assert assistant.engine.load.reserved_tokens == 0


def test_options_are_sampling_or_request_options_or_refused(assistant):
    request = assistant.request("x", seed=3, temperature=0.5, stop=("a",), system="be brief")
    assert request.sampling == SamplingOptions(seed=3, temperature=0.5)
    assert request.stop == ("a",)
    assert [message.role for message in request.messages] == ["system", "user"]
    with pytest.raises(ConfigError, match="unknown option 'temprature'"):
        assistant.chat("x", temprature=0.5)


def test_nothing_to_answer_is_refused(assistant):
    with pytest.raises(InputError, match="nothing to answer"):
        assistant.chat("")


def test_parts_are_loaded_when_they_are_needed(folder):
    with load(folder) as assistant:
        assistant.chat("x", max_new_tokens=1)
        assert (assistant.model.vision, assistant.model.audio) == (None, None)
        assistant.chat("x", images=[image(1)], max_new_tokens=1)
        assert assistant.model.vision is not None
        assert assistant.model.audio is None


def test_a_part_that_the_model_lacks_is_named(assistant):
    with pytest.raises(CapacityError, match=r"has no part 'talker'; its parts: thinker, vision"):
        assistant.need("talker")


@pytest.mark.parametrize(("option", "value"), [("dtype", "float8"), ("device", "toaster")])
def test_a_wrong_dtype_or_device_is_refused(folder, option, value):
    with pytest.raises(ConfigError, match=value):
        load(folder, **{option: value})


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_exit_code_3(folder):
    with pytest.raises(CapacityError, match="no device 'cuda' here") as raised:
        load(folder, device="cuda")
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 3


def test_a_recording_is_heard_and_written_down(assistant):
    transcript = assistant.transcribe(sound(1.5), language="en", hotwords=["Ming"])
    [segment] = transcript.segments
    assert (segment.start, segment.end) == (0.0, 1.5)
    assert transcript.language == "en"
    assert transcript.text == segment.text != ""


def test_silence_is_an_empty_transcript(assistant):
    transcript = assistant.transcribe((np.zeros(RATE, np.float32), RATE))
    assert (transcript.text, transcript.segments) == ("", ())
