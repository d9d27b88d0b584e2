"""Live conversations: the official client, and raw sockets for what it hides."""

import asyncio
import base64
import json
import random
import time

import numpy as np
import openai
import pytest
import websockets
from live_client import PATIENCE_S, Socket, malformed, silence, talk
from miniature.loud import LoudActivity
from scripted import ScriptedEngine
from served import NAME, scripted, served

from mingle.messages import Image, Text
from mingle.serving.settings import RealtimeLimits, Settings, hash_key


def script(request):
    text = [part.text for part in request.messages[-1].parts if isinstance(part, Text)]
    if text == ["long"]:
        return ["one two three four five six seven eight nine ten. "] * 40
    if text == ["call"]:
        return ['<tool_call>{"name": "light", "arguments": {"on": true}}</tool_call>']
    return ["Good ", "morning."]


@pytest.fixture(scope="module")
def engine():
    return ScriptedEngine(script, pause_s=0.01)


@pytest.fixture(scope="module")
def live_place(whole_miniature, engine):
    limits = RealtimeLimits(resume_s=5.0, window_s=60.0, max_pictures=4)
    settings = Settings(name=NAME, realtime=limits)
    assistant = scripted(whole_miniature, engine)
    assistant.need("vision", "audio")
    with served(assistant, settings) as place:
        place.house.__dict__["speech_activity"] = LoudActivity
        yield place


def with_text(test):
    """Run a test with a socket whose answers are text."""

    def run(live_place, engine):
        async def main():
            async with Socket(live_place) as socket:
                await socket.until("session.created")
                await socket.send("session.update", session={"output_modalities": ["text"]})
                await socket.until("session.updated")
                await test(socket, engine)

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


@with_text
async def test_an_answer_comes_in_the_order_of_the_protocol(socket, engine):
    await socket.say("hello")
    done = await socket.until("response.done")
    assert done["response"]["status"] == "completed"
    assert done["response"]["output"][0]["content"] == [
        {"type": "output_text", "text": "Good morning."}
    ]
    assert done["response"]["usage"]["input_tokens"] == 7
    kinds = socket.kinds()
    order = [
        "conversation.item.added", "conversation.item.done", "response.created",
        "response.output_item.added", "response.content_part.added", "response.output_text.delta",
        "response.output_text.done", "response.content_part.done", "response.output_item.done",
        "response.done",
    ]  # fmt: skip
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
    numbers = [int(event["event_id"].removeprefix("event_")) for event in socket.seen]
    assert numbers == list(range(1, len(numbers) + 1))


@with_text
async def test_what_was_said_before_is_known(socket, engine):
    await socket.say("first")
    await socket.until("response.done")
    await socket.say("second")
    await socket.until("response.done")
    said = [(m.role, m.parts[0].text) for m in engine.requests[-1].messages]
    assert said == [("user", "first"), ("assistant", "Good morning."), ("user", "second")]


@with_text
async def test_a_call_is_an_item_and_its_result_goes_back(socket, engine):
    tools = [{"type": "function", "name": "light", "parameters": {"type": "object"}}]
    await socket.send("session.update", session={"tools": tools})
    await socket.say("call")
    done = await socket.until("response.done")
    (call,) = done["response"]["output"]
    assert (call["name"], json.loads(call["arguments"])) == ("light", {"on": True})
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "it is on"}
    await socket.send("conversation.item.create", item=output)
    await socket.send("response.create")
    await socket.until("response.done")
    last = engine.requests[-1].messages
    assert "<tool_call>" in last[-2].parts[0].text
    assert "it is on" in last[-1].parts[0].text


@with_text
async def test_a_spoken_turn_is_noticed_and_answered(socket, engine):
    await socket.hear(np.concatenate((silence(0.5), talk(1.0), silence(1.0))))
    done = await socket.until("response.done")
    assert done["response"]["status"] == "completed"
    events = {event["type"]: event for event in socket.seen}
    started = events["input_audio_buffer.speech_started"]
    stopped = events["input_audio_buffer.speech_stopped"]
    assert started["audio_start_ms"] == pytest.approx(200, abs=64)  # 300 ms before 0.5 s
    assert stopped["audio_end_ms"] == pytest.approx(2000, abs=64)  # 500 ms after 1.5 s
    assert events["input_audio_buffer.committed"]["item_id"] == started["item_id"]
    (heard,) = engine.requests[-1].messages[-1].parts
    assert len(heard.source.frames) == pytest.approx(180, abs=10)  # 1.8 s at 100 frames a second


@with_text
async def test_a_long_turn_is_read_while_it_is_spoken(socket, engine):
    before = len(engine.requests)
    await socket.hear(talk(9.0))
    await socket.hear(silence(1.0))
    await socket.until("response.done")
    ahead = [r for r in engine.requests[before:] if r.max_new_tokens == 0]
    assert ahead, "nothing was read ahead"
    assert len(engine.requests[-1].messages[-1].parts) == 2


async def show(socket, engine, count):
    """Send frames one after the other, and the requests by which they were read ahead."""
    before = len(engine.requests)
    for number in range(count):
        content = [{"type": "input_image", "image_url": _frame("red")}]
        item = {"type": "message", "role": "user", "content": content}
        await socket.send("conversation.item.create", item=item)
        await socket.until("conversation.item.done")
        async with asyncio.timeout(PATIENCE_S):
            while sum(r.max_new_tokens == 0 for r in engine.requests[before:]) <= number:
                await asyncio.sleep(0.005)
    ahead = [request for request in engine.requests[before:] if request.max_new_tokens == 0]
    assert len(ahead) == count
    return ahead


@with_text
async def test_of_more_frames_than_the_limit_the_older_ones_are_thinned(socket, engine):
    ahead = await show(socket, engine, 6)  # the limit is 4
    shown = [request.messages[-1].parts for request in ahead]
    assert [len(parts) for parts in shown] == [1, 2, 3, 4, 2, 3]
    assert shown[4][0].source is shown[0][0].source
    await socket.say("what do you see?")
    await socket.until("response.done")
    assert len(engine.requests[-1].messages[-1].parts) == 3 + 1


@with_text
async def test_frames_are_read_as_they_arrive(socket, engine):
    ahead = await show(socket, engine, 3)
    await socket.say("what do you see?")
    await socket.until("response.done")
    answered = engine.requests[-1].messages[-1].parts
    assert [type(part) for part in answered] == [Image, Image, Image, Text]
    assert answered[0].source is ahead[0].messages[-1].parts[0].source  # decoded once


@with_text
async def test_manual_turns_end_when_the_client_says_so(socket, engine):
    audio = {"input": {"turn_detection": None}}
    await socket.send("session.update", session={"audio": audio})
    await socket.hear(talk(0.5))
    await socket.send("input_audio_buffer.commit")
    await socket.until("input_audio_buffer.committed")
    await socket.send("input_audio_buffer.commit")
    error = await socket.until("error")
    assert "holds 0 ms" in error["error"]["message"]
    assert "response.created" not in socket.kinds()


@with_text
async def test_items_can_be_placed_told_and_deleted(socket, engine):
    def item(text, name):
        content = [{"type": "input_text", "text": text}]
        return {"type": "message", "role": "user", "id": name, "content": content}

    await socket.send("conversation.item.create", item=item("b", "two"))
    await socket.send("conversation.item.create", item=item("a", "one"), previous_item_id="root")
    await socket.send("conversation.item.create", item=item("x", "gone"), previous_item_id="one")
    await socket.send("conversation.item.delete", item_id="gone")
    await socket.until("conversation.item.deleted")
    await socket.send("conversation.item.retrieve", item_id="one")
    assert (await socket.until("conversation.item.retrieved"))["item"]["content"][0]["text"] == "a"
    await socket.send("response.create")
    await socket.until("response.done")
    assert [part.text for part in engine.requests[-1].messages[0].parts] == ["a", "b"]


def test_speech_interrupts_speech_and_cuts_the_history(live_place, engine):
    async def main():
        async with Socket(live_place) as socket:
            await socket.until("session.created")
            await socket.say("long")
            await socket.until("response.output_audio.delta")
            await asyncio.sleep(0.3)  # of playing
            await socket.hear(talk(0.2))
            sent_s = time.monotonic()
            started = await socket.until("input_audio_buffer.speech_started")
            truncated = next(e for e in socket.seen if e["type"] == "conversation.item.truncated")
            done = await socket.until("response.done")
            assert time.monotonic() - sent_s < 2  # a busy machine; the engine itself stops at once
            assert done["response"]["status"] == "cancelled"
            assert done["response"]["status_details"]["reason"] == "turn_detected"
            after = socket.kinds()[socket.seen.index(started) :]
            assert "response.output_audio.delta" not in after
            played_s = truncated["audio_end_ms"] / 1000
            assert played_s < 2
            await socket.send("conversation.item.truncate", item_id=truncated["item_id"],
                              content_index=0, audio_end_ms=0)  # fmt: skip
            await socket.until("conversation.item.truncated")
            await socket.hear(silence(1.0))
            await socket.until("response.output_item.added")
            roles = [message.role for message in engine.requests[-1].messages]
            assert roles == ["user"]  # nothing of the answer was heard

    asyncio.run(main())


def test_the_official_client_speaks_and_listens(live_place):
    async def main():
        client = openai.AsyncOpenAI(base_url=f"{live_place.url}/v1", api_key="none")
        async with client.realtime.connect(model=NAME) as connection:
            content = [{"type": "input_text", "text": "hello"}]
            item = {"type": "message", "role": "user", "content": content}
            await connection.conversation.item.create(item=item)
            await connection.response.create()
            sound, words = b"", ""
            async with asyncio.timeout(PATIENCE_S):
                async for event in connection:
                    if event.type == "response.output_audio.delta":
                        sound += base64.b64decode(event.delta)
                    elif event.type == "response.output_audio_transcript.delta":
                        words += event.delta
                    elif event.type == "response.done":
                        break
            assert words.strip() == "Good morning."
            assert len(sound) / 2 / 24_000 > 0.5

    asyncio.run(main())


def test_a_dropped_session_is_taken_up_again_without_a_gap(live_place):
    async def main():
        async with Socket(live_place) as socket:
            session = (await socket.until("session.created"))["session"]["id"]
            await socket.say("hello")
            await socket.until("response.created")
            seen = len(socket.seen)
        query = f"&session={session}&after={seen}"
        async with Socket(live_place, query) as again:
            await again.until("response.done")
        numbers = [int(event["event_id"].removeprefix("event_")) for event in again.seen]
        assert numbers == list(range(seen + 1, seen + 1 + len(numbers)))
        async with Socket(live_place, "&session=sess_unknown") as stranger:
            assert "no such session" in (await stranger.until("error"))["error"]["message"]

    asyncio.run(main())


def test_too_many_sessions_are_told_to_come_later(whole_miniature):
    limits = RealtimeLimits(max_sessions=1, max_idle_s=0.3)
    settings = Settings(name=NAME, realtime=limits)

    async def main(place):
        async with Socket(place) as first:
            await first.until("session.created")
            async with Socket(place) as second:
                assert "try again later" in (await second.until("error"))["error"]["message"]
                await second.raw.wait_closed()
                assert second.raw.close_code == 1013
        opened = None
        while opened != "session.created":  # until the server has noticed that the first one left
            async with Socket(place) as third:
                opened = (await third.until("session.created", "error"))["type"]
                if opened == "session.created":
                    ended = await third.until("error")
                    assert ended["error"]["message"] == "nothing came for too long"

    with served(scripted(whole_miniature, ScriptedEngine(script)), settings) as place:
        asyncio.run(main(place))


def test_a_socket_needs_the_key_and_a_known_origin(whole_miniature):
    settings = Settings(name=NAME, key_hashes=(hash_key("long-secret"),))

    async def main(place):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with pytest.raises(websockets.InvalidStatus):
                await Socket(place, **headers).__aenter__()
        key = {"Authorization": "Bearer long-secret"}
        with pytest.raises(websockets.InvalidStatus):
            await Socket(place, **key, Origin="https://evil.example").__aenter__()
        url = place.url.replace("http", "ws") + "/v1/realtime"
        offered = ["realtime", "openai-insecure-api-key.long-secret"]
        async with websockets.connect(url, subprotocols=offered) as raw:
            assert raw.subprotocol == "realtime"
            assert json.loads(await raw.recv())["type"] == "session.created"

    with served(scripted(whole_miniature, ScriptedEngine(script)), settings) as place:
        asyncio.run(main(place))


def test_malformed_events_are_answered_and_nobody_else_notices(live_place):
    async def main(count=300):
        draw = random.Random(0)
        async with Socket(live_place) as neighbour, Socket(live_place) as hostile:
            for _ in range(count):
                await hostile.raw.send(malformed(draw))
            await hostile.raw.send(b"\x00\x01")
            await hostile.say("hello")
            await neighbour.say("hello")
            assert (await neighbour.until("response.done"))["response"]["status"] == "completed"
            assert "error" not in neighbour.kinds()
            await hostile.until("response.done")
            assert hostile.kinds().count("error") > count / 2

    asyncio.run(main())


def _frame(colour: str) -> str:
    import io

    import PIL.Image

    target = io.BytesIO()
    PIL.Image.new("RGB", (32, 32), colour).save(target, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode()
