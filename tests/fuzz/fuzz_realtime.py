"""Thousands of malformed frames to /v1/realtime, while somebody else has a conversation there.

Serves the miniature with all parts. One client sends frames that are no events, or nearly some; a
neighbour asks and is answered all the while. Prints one JSON object. The exit code is 1 if the
server had a fault of its own, if the neighbour saw an error or a gap, or if the server is gone.
Usage: python tests/fuzz/fuzz_realtime.py --frames 5000
"""

import argparse
import asyncio
import copy
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "contract")]

import httpx  # noqa: E402
import websockets  # noqa: E402
from live_client import Socket, malformed  # noqa: E402
from miniature import write_miniature  # noqa: E402
from served import NAME, Place, served  # noqa: E402

import mingle  # noqa: E402
from mingle.serving.settings import RealtimeLimits, Settings  # noqa: E402

PARTS = ("thinker", "vision", "audio", "talker", "painter")
CONTENT = {"type": "input_text", "text": "hello"}
MESSAGE = {"type": "message", "role": "user", "content": [CONTENT]}
VALID: tuple[dict[str, Any], ...] = (
    {"type": "session.update", "session": {
        "instructions": "be brief", "output_modalities": ["text"], "max_output_tokens": 4,
        "tools": [{"type": "function", "name": "light", "parameters": {"type": "object"}}],
        "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000},
                            "turn_detection": {"type": "server_vad", "threshold": 0.5}},
                  "output": {"voice": "default", "speed": 1.0}}}},
    {"type": "input_audio_buffer.append", "audio": "AAAA" * 400},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "previous_item_id": "root", "item": MESSAGE},
    {"type": "conversation.item.create", "item": {
        "type": "message", "role": "user",
        "content": [{"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}]}},
    {"type": "conversation.item.create", "item": {
        "type": "function_call_output", "call_id": "call_1", "output": "it is on"}},
    {"type": "conversation.item.delete", "item_id": "item_1"},
    {"type": "conversation.item.retrieve", "item_id": "item_1"},
    {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0,
     "audio_end_ms": 100},
    {"type": "response.create", "response": {"max_output_tokens": 2, "conversation": "none"}},
    {"type": "response.cancel", "response_id": "resp_1"},
    {"type": "output_audio_buffer.clear"},
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 1e308, float("nan"), float("inf"), "", "\ud800", "\x00", "x" * 70_000,
    "AAA", "====", [], {}, [[]], [None] * 500, {"type": "message"}, "data:,", "file:///etc/passwd",
)  # fmt: skip
TOO_LARGE = "x" * 300_000


def main() -> None:
    """Fuzz, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    report = fuzz(args.frames, args.seed)
    print(json.dumps(report, indent=2))
    sys.exit(0 if is_well(report) else 1)


def fuzz(frames: int, seed: int) -> dict[str, Any]:
    """Serve, and let both clients at it."""
    with tempfile.TemporaryDirectory() as scratch:
        assistant = mingle.load(str(write_miniature(Path(scratch) / "model", PARTS)))
        assistant.need(*PARTS)
        limits = RealtimeLimits(max_event_bytes=len(TOO_LARGE) - 1, resume_s=1.0)
        settings = Settings(name=NAME, default_max_tokens=8, realtime=limits)
        with assistant, served(assistant, settings) as place:
            return asyncio.run(attack(place, frames, random.Random(seed)))


def is_well(report: dict[str, Any]) -> bool:
    """Whether nothing happened that must not."""
    bad = ("server_faults", "neighbour_errors", "neighbour_gaps")
    return report["alive"] and report["neighbour_turns"] > 0 and not any(map(report.get, bad))


async def attack(place: Place, frames: int, draw: random.Random) -> dict[str, Any]:
    """Send so many frames, and have a conversation meanwhile."""
    answers: Counter[str] = Counter()
    turns: list[float] = []
    async with Socket(place) as neighbour:
        alone = [await _turn(neighbour) for _ in range(5)]
        asking = asyncio.create_task(_converse(neighbour, turns))
        sent = await _send(place, frames, draw, answers)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    numbers = [int(event["event_id"].removeprefix("event_")) for event in neighbour.seen]
    return {
        "frames": sent,
        "answered": dict(answers),
        "server_faults": answers["server_error"],
        "neighbour_turns": len(turns),
        "neighbour_turn_s_alone": round(statistics.median(alone), 3),
        "neighbour_turn_s_meanwhile": round(statistics.median(turns), 3) if turns else None,
        "neighbour_errors": neighbour.kinds().count("error"),
        "neighbour_gaps": sum(b - a != 1 for a, b in pairwise(numbers)),
        "alive": httpx.get(f"{place.url}/health", timeout=60).status_code == 200,
    }


async def _turn(socket: Socket) -> float:
    """One question and its answer, in text; how long it took."""
    start = time.monotonic()
    item = {"type": "message", "role": "user", "content": [CONTENT]}
    await socket.send("conversation.item.create", item=item)
    wish = {"output_modalities": ["text"], "max_output_tokens": 8}
    await socket.send("response.create", response=wish)
    done = await socket.until("response.done")
    assert done["response"]["status"] in ("completed", "incomplete"), done
    return time.monotonic() - start


async def _converse(socket: Socket, turns: list[float]) -> None:
    while True:
        turns.append(await _turn(socket))
        await asyncio.sleep(0.1)


async def _send(
    place: Place, frames: int, draw: random.Random, answers: Counter[str]
) -> dict[str, int]:
    """Send them all, on a new connection whenever the server closes one."""
    sent: Counter[str] = Counter()
    while sent.total() < frames:
        async with Socket(place) as hostile:
            reading = asyncio.create_task(_count(hostile, answers))
            try:
                while sent.total() < frames:
                    kind, frame = _frame(draw)
                    await hostile.raw.send(frame)
                    sent[kind] += 1
                    if sent.total() % 50 == 0:  # be read now and then
                        await asyncio.sleep(0.05)
                await hostile.raw.send(json.dumps({"type": "conversation.item.retrieve"}))
                await asyncio.sleep(2)
            except websockets.ConnectionClosed as closed:
                answers[f"closed {closed.rcvd.code if closed.rcvd else None}"] += 1
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    return dict(sent)


async def _count(socket: Socket, answers: Counter[str]) -> None:
    """What the server says to the hostile one: kinds of errors, and what is no error."""
    async for text in socket.raw:
        event = json.loads(text)
        answers[event["error"]["type"] if event["type"] == "error" else "other events"] += 1


def _frame(draw: random.Random) -> tuple[str, str | bytes]:
    share = draw.random()
    if share < 0.002:
        return "too large", TOO_LARGE
    if share < 0.05:
        return "bytes", draw.randbytes(draw.randint(0, 200))
    if share < 0.35:
        return "no event", malformed(draw)
    return "nearly an event", json.dumps(_mutated(draw))


def _mutated(draw: random.Random) -> Any:
    """A valid event with one to three of its values put in another's place, or taken away."""
    event = copy.deepcopy(draw.choice(VALID))
    for _ in range(draw.randint(1, 3)):
        place: Any = event
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw.choice(keys)
            deeper = isinstance(place[key], dict | list) and draw.random() < 0.7
            if deeper:
                place = place[key]
                continue
            if draw.random() < 0.2:
                del place[key]
            else:
                place[key] = copy.deepcopy(draw.choice(ODD))
            break
    return event


if __name__ == "__main__":
    main()
