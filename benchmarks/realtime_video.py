"""Does an answer come later the longer the video was? Frames, then a question, over /v1/realtime.

For each length it opens some sessions and sends frames at the pace of the video. Then it asks in
text, the sessions in turns, each time one more frame after the server has read all before, and
takes the time from the question to the first token: by the clock, and the server's processor time,
which other work on the machine changes little. Prints one JSON object with the ratios of the
longest video to the shortest; how far it is goes to stderr.
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
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import websockets
from PIL import Image


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="one that sees")
    parser.add_argument("--seconds", type=float, nargs="+", default=[5.0, 30.0, 120.0])
    parser.add_argument("--fps", type=float, default=1.0)
    parser.add_argument("--speed", type=float, default=1.0, help="faster than the video runs")
    parser.add_argument("--sessions", type=int, default=2, help="of each length")
    parser.add_argument("--repeats", type=int, default=5, help="questions in each session")
    parser.add_argument("--side", type=int, default=64, help="pixels a side of a frame")
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
    """The median time to the first token for each length."""
    lengths = sorted({2 / args.fps, *args.seconds})  # the shortest only warms up
    sockets = [(seconds, await opened(url)) for seconds in lengths * args.sessions]
    tell_progress(f"showing {max(lengths):g} s of video")
    await asyncio.gather(*(watch(socket, seconds, args) for seconds, socket in sockets))
    tell_progress("waiting until all of it is read")
    await idle(url)
    times: dict[float, list[tuple[float, float]]] = {seconds: [] for seconds in lengths}
    for number in range(args.repeats):
        tell_progress(f"round {number + 1} of {args.repeats}")
        for seconds, socket in sockets:
            times[seconds].append(await ask(url, pid, socket, args))
    waits = {length: statistics.median(w for w, _ in times[length]) for length in args.seconds}
    works = {length: statistics.median(c for _, c in times[length]) for length in args.seconds}
    short, long = min(args.seconds), max(args.seconds)
    return {
        "model": args.model,
        "fps": args.fps,
        "speed": args.speed,
        "questions_a_length": args.sessions * args.repeats,
        "first_token_s_median": {str(key): round(value, 4) for key, value in waits.items()},
        "ratio": round(waits[long] / waits[short], 3),
        "processor_s_median": {str(key): round(value, 4) for key, value in works.items()},
        "ratio_of_processor_time": round(works[long] / works[short], 3),
    }


async def opened(url: str) -> Any:
    """A session that answers in text."""
    address = url.replace("http", "ws") + "/v1/realtime"
    socket = await websockets.connect(address, max_size=None)
    settings = {"output_modalities": ["text"], "max_output_tokens": 4}
    await tell(socket, "session.update", session=settings)
    return socket


async def watch(socket: Any, seconds: float, args: argparse.Namespace) -> None:
    """Show a video of this length."""
    draw = np.random.default_rng(0)
    for _ in range(max(1, round(seconds * args.fps))):
        await show(socket, draw, args.side)
        await asyncio.sleep(1 / args.fps / args.speed)


async def ask(url: str, pid: int, socket: Any, args: argparse.Namespace) -> tuple[float, float]:
    """One more frame, and a question: time to the first token, and what it cost the server."""
    await watch(socket, 1 / args.fps, args)
    await idle(url)
    start, cpu = time.monotonic(), cpu_seconds(pid)
    await add(socket, {"type": "input_text", "text": "What do you see?"})
    await tell(socket, "response.create")
    await until(socket, "response.output_item.added")
    took = time.monotonic() - start, cpu_seconds(pid) - cpu
    await until(socket, "response.done")
    return took


async def idle(url: str) -> None:
    """Wait until the server computes nothing: all that was shown is read."""
    async with httpx.AsyncClient(timeout=60) as client:
        quiet = 0
        while quiet < 2:
            page = (await client.get(f"{url}/metrics")).text
            quiet = quiet + 1 if "mingle_requests_running 0.0" in page else 0
            await asyncio.sleep(0.1)


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


async def until(socket: Any, kind: str) -> None:
    """Read until an event of this kind. Raises ValueError at an error, and at a silent answer."""
    while True:
        event = json.loads(await socket.recv())
        if event["type"] == "error":
            raise ValueError(event["error"]["message"])
        if event["type"] == "response.done" and event["response"]["status"] == "failed":
            raise ValueError(str(event["response"]["status_details"]))
        if event["type"] == kind:
            return
        if event["type"] == "response.done":
            raise ValueError("the model answered nothing; ask something else")


if __name__ == "__main__":
    main()
