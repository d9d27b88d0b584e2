"""The server on nano, which answers in English: what the miniature cannot show."""

import asyncio
import base64
import json

import httpx
import openai
import pytest
import websockets
from served import served
from test_missing_parts import refused, say_what_it_lacks

from mingle.processing.sound_file import encode_sound
from mingle.serving.settings import Settings
from mingle.worlds import prompts
from mingle.worlds.voices import SAMPLE_RATE

pytestmark = pytest.mark.slow
QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def nano(nano_itself):
    with served(nano_itself, Settings(name="nano")) as place:
        yield place


def test_a_conversation_is_answered_and_remembered(nano):
    client = openai.OpenAI(base_url=f"{nano.url}/v1", api_key="none")
    turns = [{"role": "user", "content": QUESTION}]
    first = client.chat.completions.create(model="nano", messages=turns, max_tokens=24)
    said = first.choices[0].message.content
    assert "Paris" in said
    turns += [{"role": "assistant", "content": said}, {"role": "user", "content": "And of Italy?"}]
    second = client.chat.completions.create(model="nano", messages=turns, max_tokens=4)
    assert second.usage.prompt_tokens_details.cached_tokens >= first.usage.prompt_tokens - 4


def test_a_stop_string_ends_the_answer_before_it(nano):
    body = {"messages": [{"role": "user", "content": QUESTION}], "stop": "Paris"}
    done = httpx.post(f"{nano.url}/v1/chat/completions", json=body, timeout=120).json()
    assert done["choices"][0]["finish_reason"] == "stop"
    assert "Paris" not in done["choices"][0]["message"]["content"]


async def ask(socket, session):
    """Set the session up, put the question, and want it answered."""
    item = {"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": QUESTION}]}  # fmt: skip
    await socket.send(json.dumps({"type": "session.update", "session": session}))
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))


def test_a_live_question_is_answered(nano):
    async def main():
        url = nano.url.replace("http", "ws") + "/v1/realtime"
        async with websockets.connect(url) as socket, asyncio.timeout(120):
            await ask(socket, {"max_output_tokens": 24, "output_modalities": ["text"]})
            while (event := json.loads(await socket.recv()))["type"] != "response.output_text.done":
                assert event["type"] != "error", event
            assert "Paris" in event["text"]

    asyncio.run(main())


def test_a_live_answer_of_nano_is_spoken_where_nothing_else_is_asked(nano):
    async def main():
        url = nano.url.replace("http", "ws") + "/v1/realtime"
        async with websockets.connect(url) as socket, asyncio.timeout(120):
            await ask(socket, {"max_output_tokens": 16})
            said, samples = "", 0
            while (event := json.loads(await socket.recv()))["type"] != "response.done":
                assert event["type"] != "error", event
                if event["type"] == "response.output_audio.delta":
                    samples += len(base64.b64decode(event["delta"])) // 2
                if event["type"] == "response.output_audio_transcript.done":
                    said = event["transcript"]
            assert "Paris" in said
            assert 0.08 < samples / 24_000 / len(said.split()) < 1.0  # seconds a word

    asyncio.run(main())


@pytest.mark.skipif(not prompts.FOLDER.is_dir(), reason="needs asterisk-core-sounds-en-g722")
def test_a_real_recording_of_unseen_words_is_written_down(nano):
    (prompt,) = [p for p in prompts.load("held_out") if p.name == "conf-getpin"]
    sound = encode_sound(prompt.samples, SAMPLE_RATE, "wav")
    client = openai.OpenAI(base_url=f"{nano.url}/v1", api_key="none", max_retries=0)
    told = client.audio.transcriptions.create(model="nano", file=("prompt.wav", sound))
    assert told.text == "please enter the conference pin number"


def test_what_nano_lacks_is_refused_by_name(nano, png, wav):
    lacks = {"vision", "audio", "talker", "painter"} - set(nano.house.parts)
    assert bool(refused(nano, png, wav)) == bool(lacks)


def test_a_live_conversation_with_nano_says_what_it_cannot_do(nano):
    asyncio.run(say_what_it_lacks(nano))
