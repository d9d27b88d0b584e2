"""What the server makes of an answer that is known: a scripted engine, raw HTTP."""

import base64
import io
import json
import socket
import time
from collections.abc import Callable

import httpx
import numpy as np
import pytest
import soundfile
from scripted import ScriptedEngine
from served import NAME, Place, scripted, served

from mingle.errors import BusyError
from mingle.messages import TextDelta
from mingle.serving.settings import Settings

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
SCRIPTS = {
    "think": [TextDelta(text="hmm, ", channel="reasoning", token_ids=(1, 2)), "Yes", "."],
    "call": ["Let me see. <tool", '_call>{"name": "weather", "argu', 'ments": {"at": "Rome"}}',
             "</tool_c", "all>"],
    "speak": ["Good ", "morning."],
    "slow": ["word "] * 2000,
}  # fmt: skip


def script(request):
    return SCRIPTS[request.messages[-1].parts[0].text]


@pytest.fixture(scope="module")
def engine():
    return ScriptedEngine(script, pause_s=0.005)


@pytest.fixture(scope="module")
def scripted_place(whole_miniature, engine):
    with served(scripted(whole_miniature, engine)) as place:
        yield place


def chat(place: Place, text: str, **options) -> dict:
    body = {"model": NAME, "messages": [{"role": "user", "content": text}], **options}
    answer = httpx.post(f"{place.url}/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def stream(place: Place, text: str, **options) -> list[dict]:
    body = {"model": NAME, "messages": [{"role": "user", "content": text}], "stream": True}
    answer = httpx.post(f"{place.url}/v1/chat/completions", json={**body, **options}, timeout=60)
    lines = [line for line in answer.text.splitlines() if line]
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line[6:]) for line in lines[:-1]]


def test_thoughts_stand_apart_from_the_answer(scripted_place, engine):
    done = chat(scripted_place, "think", reasoning_effort="high")
    assert done["choices"][0]["message"]["content"] == "Yes."
    assert done["choices"][0]["message"]["reasoning_content"] == "hmm,"
    assert done["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2
    assert engine.requests[-1].thinking
    deltas = [chunk["choices"][0]["delta"] for chunk in stream(scripted_place, "think")]
    assert [d["reasoning_content"] for d in deltas if "reasoning_content" in d] == ["hmm, "]


def test_a_call_is_found_however_it_is_cut(scripted_place, engine):
    done = chat(scripted_place, "call", tools=[WEATHER])
    choice = done["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "Let me see."
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "weather", "arguments": '{"at": "Rome"}'}
    assert "weather" in engine.requests[-1].messages[0].parts[0].text
    chunks = stream(scripted_place, "call", tools=[WEATHER])
    told = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert told == "Let me see. "


def test_without_tools_what_looks_like_a_call_is_text(scripted_place):
    assert "tool_call" in chat(scripted_place, "call")["choices"][0]["message"]["content"]


def test_stop_and_seed_reach_the_engine(scripted_place, engine):
    chat(scripted_place, "think", stop=["\n", "END"], seed=9, temperature=0.5, max_tokens=77)
    request = engine.requests[-1]
    assert request.stop == ("\n", "END")
    assert (request.sampling.seed, request.sampling.temperature) == (9, 0.5)
    assert request.max_new_tokens == 77


def test_a_spoken_answer_is_a_sound_file_and_its_words(scripted_place):
    done = chat(scripted_place, "speak", modalities=["text", "audio"], audio={"format": "flac"})
    audio = done["choices"][0]["message"]["audio"]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(audio["data"])))
    assert audio["transcript"] == "Good morning."
    assert rate == 44_100
    assert len(samples) / rate > 0.5


def test_a_streamed_spoken_answer_is_the_same_sound_in_pieces(scripted_place):
    options = {"modalities": ["text", "audio"], "audio": {"format": "pcm16"}}
    chunks = stream(scripted_place, "speak", **options)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    deltas = [delta["audio"] for delta in deltas if "audio" in delta]
    data = b"".join(base64.b64decode(delta["data"]) for delta in deltas)
    whole = chat(scripted_place, "speak", **options)
    assert data == base64.b64decode(whole["choices"][0]["message"]["audio"]["data"])
    assert np.abs(np.frombuffer(data, "<i2")).max() > 0
    assert "".join(delta["transcript"] for delta in deltas).strip() == "Good morning."
    assert len({delta["id"] for delta in deltas}) == 1


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_goes_away_frees_its_work(scripted_place, engine, streamed):
    before, asked = len(engine.left), len(engine.requests)
    body = json.dumps(
        {"messages": [{"role": "user", "content": "slow"}], "stream": streamed}
    ).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", scripted_place.port)) as raw:
        raw.sendall(head.encode() + body)
        if streamed:
            assert b"200 OK" in raw.recv(1000)
        _wait(lambda: len(engine.requests) > asked, "the request did not begin")
    _wait(lambda: len(engine.left) > before, "the request still runs")


def _wait(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 5
    while not done():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)


def test_an_answer_that_fails_on_its_way_says_so_in_the_stream(whole_miniature):
    def broken(request):
        return ["so far ", None]  # no event: a fault of our own

    with served(scripted(whole_miniature, ScriptedEngine(broken))) as place:
        events = stream(place, "speak")
    assert events[-1]["error"]["type"] == "server_error"
    assert "None" not in events[-1]["error"]["message"]


def test_a_stopped_server_ends_its_streams_with_the_reason(whole_miniature):
    import mingle

    assistant = mingle.load(str(whole_miniature))
    with served(assistant, Settings(name=NAME)) as place:
        body = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 7000}
        with httpx.stream(
            "POST", f"{place.url}/v1/chat/completions", json=body, timeout=60
        ) as answer:
            lines = answer.iter_lines()
            next(lines)
            assistant.close()
            rest = [line for line in lines if line]
    assert "shutting down" in rest[-2]
    assert rest[-1] == "data: [DONE]"


def test_a_full_queue_is_429_with_the_time_to_wait(whole_miniature):
    def full(request):
        raise BusyError("2 requests wait already (limit 2); try again later")

    with served(scripted(whole_miniature, ScriptedEngine(full))) as place:
        for streamed in (False, True):
            body = {"messages": [{"role": "user", "content": "hi"}], "stream": streamed}
            answer = httpx.post(f"{place.url}/v1/chat/completions", json=body, timeout=60)
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["type"] == "rate_limit_error"
