"""Does an answer come later the longer the video was? Frames, then a question, over /v1/realtime.

In each round every length gets a session of its own, one after the other, in turned order: frames
at the pace of the video (or faster; never before the one before was read), a pause until all is
read, then one question, and the session ends. Taken is the time from the end of the question (the
text sent, or the sound committed) to the first delta of an answer of one token: by the clock, and
the server's processor time, which other work on the machine changes less. Prints one JSON object:
medians, quartiles, the ratios of each length to the shortest, and how many tokens of the prompt
had been read before the question; how far it is goes to stderr.
Usage: python benchmarks/realtime_video.py --model FOLDER --seconds 5 30 120
"""

import argparse
import asyncio
import base64
import io
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import websockets
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One question: its times in seconds, and how much of its prompt was read before."""

    clock_s: float
    processor_s: float
    prompt_tokens: int
    cached_tokens: int


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="one that sees")
    parser.add_argument("--seconds", type=float, nargs="+", default=[5.0, 30.0, 120.0])
    parser.add_argument("--fps", type=float, default=1.0)
    parser.add_argument("--speed", type=float, default=1.0, help="faster than the video runs")
    parser.add_argument("--rounds", type=int, default=5, help="sessions of each length")
    parser.add_argument("--side", type=int, default=64, help="pixels a side of a frame")
    parser.add_argument("--spoken", action="store_true", help="ask by 2 s of sound, not in text")
    args = parser.parse_args()
    command = [sys.executable, "-m", "mingle", "serve", "--model", args.model, "--port", "0"]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["address"]
            report = asyncio.run(measure(url, server.pid, args))
        finally:
            server.terminate()
    print(json.dumps(report, indent=2))


async def measure(url: str, pid: int, args: argparse.Namespace) -> dict[str, Any]:
    """The times to the first token for each length."""
    lengths = sorted(args.seconds)
    draw = np.random.default_rng(0)  # no two sessions see the same video: nothing is shared
    taken: dict[float, list[Taken]] = {seconds: [] for seconds in lengths}
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for warm in (lengths[0], lengths[0]):
            await session(client, pid, warm, draw, args)
        for number in range(args.rounds):
            for seconds in lengths if number % 2 == 0 else lengths[::-1]:
                took = await session(client, pid, seconds, draw, args)
                taken[seconds].append(took)
                tell_progress(f"round {number + 1} of {args.rounds}, {seconds:g} s: {took}")
    return {
        "model": args.model,
        "question": "2 s of sound" if args.spoken else "text",
        "fps": args.fps,
        "speed": args.speed,
        "sessions_a_length": args.rounds,
        "prompt_tokens": {f"{key:g}": took[0].prompt_tokens for key, took in taken.items()},
        "cached_tokens": {f"{key:g}": took[0].cached_tokens for key, took in taken.items()},
        "first_token_s": spread({key: [one.clock_s for one in t] for key, t in taken.items()}),
        "processor_s": spread({key: [one.processor_s for one in t] for key, t in taken.items()}),
    }


def spread(times: dict[float, list[float]]) -> dict[str, Any]:
    """Median and quartiles of each length, and its median over that of the shortest."""
    shortest = statistics.median(times[min(times)])
    told: dict[str, Any] = {}
    for seconds, values in times.items():
        low, middle, high = np.percentile(values, (25, 50, 75))
        told[f"{seconds:g}"] = {
            "median": round(middle, 4),
            "quartiles": [round(low, 4), round(high, 4)],
            "ratio": round(middle / shortest, 3),
        }
    return told


async def session(
    client: httpx.AsyncClient,
    pid: int,
    seconds: float,
    draw: np.random.Generator,
    args: argparse.Namespace,
) -> Taken:
    """One video, one question: time to the first delta, and what it cost the server."""
    address = str(client.base_url.copy_with(scheme="ws", path="/v1/realtime"))
    async with websockets.connect(address, max_size=None) as socket:
        settings: dict[str, Any] = {"output_modalities": ["text"], "max_output_tokens": 1}
        settings["audio"] = {"input": {"turn_detection": None}}
        await tell(socket, "session.update", session=settings)
        for _ in range(max(1, round(seconds * args.fps))):
            await show(socket, draw, args.side)
            await asyncio.sleep(1 / args.fps / args.speed)
            await idle(client)
        if args.spoken:
            await speak(socket, draw)
        await idle(client, looks=10)
        start, cpu = time.monotonic(), cpu_seconds(pid)
        if args.spoken:
            await tell(socket, "input_audio_buffer.commit")
        else:
            await add(socket, {"type": "input_text", "text": "What do you see?"})
        await tell(socket, "response.create")
        first = await until(socket, "response.output_text.delta", "response.done")
        clock_s = time.monotonic() - start
        done = first if "response" in first else await until(socket, "response.done")
        processor_s = cpu_seconds(pid) - cpu
    usage = done["response"]["usage"]
    await idle(client)
    return Taken(
        clock_s=clock_s,
        processor_s=processor_s,
        prompt_tokens=usage["input_tokens"],
        cached_tokens=usage["input_token_details"]["cached_tokens"],
    )


async def speak(socket: Any, draw: np.random.Generator) -> None:
    """Two seconds of noise, all of it heard by the server."""
    samples = (3000 * draw.standard_normal(48_000)).astype("<i2")
    for piece in np.split(samples, 20):
        audio = base64.b64encode(piece.tobytes()).decode()
        await tell(socket, "input_audio_buffer.append", audio=audio)
    await tell(socket, "conversation.item.retrieve", item_id="none")  # answered when all is heard
    while json.loads(await socket.recv())["type"] != "error":
        pass


async def idle(client: httpx.AsyncClient, looks: int = 2) -> None:
    """Wait until the server computes nothing, `looks` times in a row: all that came is read."""
    quiet = 0
    while quiet < looks:
        page = (await client.get("/metrics")).text
        quiet = quiet + 1 if "mingle_requests_running 0.0" in page else 0
        await asyncio.sleep(0.05)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process's threads so far, to the nanosecond (Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def tell_progress(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


async def show(socket: Any, draw: np.random.Generator, side: int) -> None:
    """Send a frame of noise as JPEG."""
    target = io.BytesIO()
    pixels = draw.integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(target, "JPEG")
    url = "data:image/jpeg;base64," + base64.b64encode(target.getvalue()).decode()
    await add(socket, {"type": "input_image", "image_url": url})


async def add(socket: Any, content: dict[str, Any]) -> None:
    """Add a message of the user."""
    item = {"type": "message", "role": "user", "content": [content]}
    await tell(socket, "conversation.item.create", item=item)
    await until(socket, "conversation.item.done")


async def tell(socket: Any, kind: str, **fields: Any) -> None:
    """Send an event."""
    await socket.send(json.dumps({"type": kind, **fields}))


async def until(socket: Any, *kinds: str) -> Any:
    """Read until an event of these kinds. Raises ValueError at an error."""
    while True:
        event = json.loads(await socket.recv())
        if event["type"] == "error":
            raise ValueError(event["error"]["message"])
        if event["type"] == "response.done" and event["response"]["status"] == "failed":
            raise ValueError(str(event["response"]["status_details"]))
        if event["type"] in kinds:
            return event


if __name__ == "__main__":
    main()
