"""Live conversations at their limits: transcripts, slow clients, the end of the time, memory."""

import asyncio
import base64
import io
import json
import time

import numpy as np
import pytest
from live_client import PATIENCE_S, Socket, silence, talk
from miniature.loud import LoudActivity
from scripted import ScriptedEngine
from served import NAME, scripted, served

from mingle.messages import SpeechChunk
from mingle.serving.realtime.conversation import Item
from mingle.serving.settings import RealtimeLimits, Settings

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def test_what_the_user_said_is_written_down_beside_the_answer(place):
    async def main():
        async with Socket(place) as socket:
            audio = {"input": {"turn_detection": None, "transcription": {"language": "en"}}}
            session = {"output_modalities": ["text"], "max_output_tokens": 3, "audio": audio}
            await socket.send("session.update", session=session)
            await socket.hear(talk(1.0))
            await socket.send("input_audio_buffer.commit")
            committed = await socket.until("input_audio_buffer.committed")
            await socket.send("response.create")
            written = await socket.until(TRANSCRIBED)
            assert written["item_id"] == committed["item_id"]
            assert written["usage"] == {"type": "duration", "seconds": pytest.approx(1.0)}
            deltas = [e["delta"] for e in socket.seen if e["type"].endswith("transcription.delta")]
            assert "".join(deltas) == written["transcript"]
            if "response.done" not in socket.kinds():
                await socket.until("response.done")
            await socket.send("conversation.item.retrieve", item_id=committed["item_id"])
            item = (await socket.until("conversation.item.retrieved"))["item"]
            assert item["content"][0]["transcript"] == written["transcript"]

    asyncio.run(main())


def test_a_question_costs_its_own_tokens_however_long_the_video_was(place, frames):
    """All of the video was read when it was asked: none of it is left for the answer."""
    read = place.house.metrics.tokens.labels("in")

    async def unread(count):
        async with Socket(place) as socket:
            session = {"output_modalities": ["text"], "max_output_tokens": 1}
            await socket.send("session.update", session=session)
            for frame in frames(count):
                before = figure(read)
                content = [{"type": "input_image", "image_url": frame}]
                item = {"type": "message", "role": "user", "content": content}
                await socket.send("conversation.item.create", item=item)
                async with asyncio.timeout(PATIENCE_S):
                    while figure(read) == before:
                        await asyncio.sleep(0.01)
            await socket.say("What do you see?")
            usage = (await socket.until("response.done"))["response"]["usage"]
            return usage["input_tokens"] - usage["input_token_details"]["cached_tokens"]

    short, long = asyncio.run(unread(3)), asyncio.run(unread(15))
    assert short == long < 40  # the miniature's tokens are bytes


@pytest.fixture
def frames():
    """Makes videos of noise: no two frames are alike."""
    pil = pytest.importorskip("PIL.Image")
    draw = np.random.default_rng(0)

    def make(count):
        for _ in range(count):
            target = io.BytesIO()
            pixels = draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            pil.fromarray(pixels).save(target, "JPEG")
            yield "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode()

    return make


def figure(counter):
    """A counter's value as Prometheus would read it."""
    return next(iter(counter.collect())).samples[0].value


def test_a_client_that_does_not_read_holds_up_itself_only(whole_miniature):
    """Its answer stops at the limit of unsent bytes, goes on when it reads, and nothing is lost."""
    words = ["word " * 200] * 200  # 200 kB

    def script(request):
        return words if request.messages[-1].parts[0].text == "long" else ["Good ", "morning."]

    engine = ScriptedEngine(script)
    limits = RealtimeLimits(max_waiting_bytes=20_000)

    async def main(place):
        async with Socket(place) as slow, Socket(place) as other:
            for socket in (slow, other):
                await socket.send("session.update", session={"output_modalities": ["text"]})
                await socket.until("session.updated")
            slow.raw.transport.pause_reading()
            await slow.say("long")
            await asyncio.sleep(1.0)
            await other.say("hello")
            done = await other.until("response.done")
            assert done["response"]["status"] == "completed"
            slow.raw.transport.resume_reading()
            done = await slow.until("response.done")
            said = "".join(e["delta"] for e in slow.seen if e["type"].endswith("text.delta"))
            assert said == "".join(words)
            numbers = [int(event["event_id"].removeprefix("event_")) for event in slow.seen]
            assert numbers == list(range(1, len(numbers) + 1))

    with served(scripted(whole_miniature, engine), Settings(name=NAME, realtime=limits)) as place:
        asyncio.run(main(place))


@pytest.mark.parametrize(
    ("limits", "reason", "left_s"),
    [
        (RealtimeLimits(max_session_s=0.5), "the session's time is up", 0.5),
        (RealtimeLimits(max_idle_s=0.5), "nothing came for too long", 3600),
    ],
)
def test_a_session_ends_when_its_time_is_up_or_nobody_speaks(
    whole_miniature, limits, reason, left_s
):
    async def main(place):
        async with Socket(place) as socket:
            created = await socket.until("session.created")
            assert created["session"]["expires_at"] == pytest.approx(time.time() + left_s, abs=2)
            ended = await socket.until("error")
            assert ended["error"]["message"] == reason
            await socket.raw.wait_closed()
            assert socket.raw.close_code == 1000

    engine = ScriptedEngine(lambda request: ["Good morning."])
    with served(scripted(whole_miniature, engine), Settings(name=NAME, realtime=limits)) as place:
        asyncio.run(main(place))


def test_errors_of_sockets_and_streams_are_counted_by_kind(whole_miniature):
    import httpx

    async def main(place):
        async with Socket(place) as socket:
            await socket.raw.send("no event")
            await socket.until("error")

    engine = ScriptedEngine(lambda request: ["so far ", None])  # no event: a fault of our own
    with served(scripted(whole_miniature, engine)) as place:
        asyncio.run(main(place))
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
        httpx.post(f"{place.url}/v1/chat/completions", json=body, timeout=60)
        httpx.get(f"{place.url}/v1/models/none", timeout=60)
        page = httpx.get(f"{place.url}/metrics", timeout=60).text
    for kind in ("invalid_request_error", "server_error", "not_found_error"):
        assert f'mingle_errors_total{{kind="{kind}"}} 1.0' in page


def test_spoken_sound_is_not_kept_yet_the_history_can_be_cut():
    item = Item(id="item_1", role="assistant")
    for number, word in enumerate(("one ", "two ", "three ")):
        samples = np.ones(24_000, np.float32)
        item.speak(
            SpeechChunk(samples=samples, sample_rate_hz=24_000, text=word, start_s=float(number))
        )
    assert all(chunk.samples.base.nbytes < 100 for chunk in item.chunks)
    item.text, item.heard_s = "one two three ", 2.0
    assert item.known_text.split() == ["one", "two"]


def test_detected_speech_stops_the_answer_within_100_ms(whole_miniature):
    """From the frame in which speech is certain until the client is told, of 20 interruptions."""
    engine = ScriptedEngine(lambda request: ["one two three four five. "] * 400, pause_s=0.01)

    async def main(place):
        async with Socket(place) as socket:
            await socket.send("session.update", session={"output_modalities": ["text"]})
            await socket.until("session.updated")
            waits = []
            for _ in range(20):
                await socket.say("long")
                await socket.until("response.output_text.delta")
                await socket.hear(talk(0.1))
                sent_s = time.monotonic()
                await socket.until("input_audio_buffer.speech_started")
                waits.append(time.monotonic() - sent_s)
                done = await socket.until("response.done")
                assert done["response"]["status"] == "cancelled"
                await socket.hear(silence(1.0))
                await socket.until("response.created")
                await socket.send("response.cancel")
                await socket.until("response.done")
            return waits

    with served(scripted(whole_miniature, engine)) as place:
        place.house.__dict__["speech_activity"] = LoudActivity
        place.house.assistant.need("audio")
        waits = sorted(asyncio.run(main(place)))
    assert waits[len(waits) // 2] < 0.1, json.dumps(waits)
