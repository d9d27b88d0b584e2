"""Does the server stay fair, whole and flat under load? Many chats and live conversations at once.

Starts `mingle serve`. First one chat and all chats take turns, several times, for the gain of
batching: in wall time, and in the server's processor time, which other work on the machine does
not change. Then all chats and live conversations together, for a minute unmeasured and then
measured; a conversation ends after a few turns and another begins, for the caches of endless ones
would grow up to the model's context. The first ones begin in different turns, and the chats' first
answers have different lengths, so that at any time answers and conversations of all ages are there:
the load is the same from beginning to end. Prints one JSON object: errors, lost events, tokens a
second, slowest and median chat, memory over time.
Usage: python benchmarks/serving_load.py --chats 64 --sessions 8 --seconds 300
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import websockets

ANSWER_TOKENS = 64
LONG_TOKENS = 400  # where decoding alone is measured
PATIENCE_S = 300
PAST = "The sea is wide and deep, and many live in it. " * 5  # an answer that was given before
QUESTIONS = ("Tell me about the sea.", "What is a tree?", "Who lives in Rome?", "Name ten colours.")


@dataclass(kw_only=True)
class Tally:
    """What was seen: tokens of each chat, answers of each session, what went wrong."""

    tokens: dict[int, int] = field(default_factory=dict)
    first_s: list[float] = field(default_factory=list)
    answers: int = 0
    spoken: dict[int, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    lost: int = 0


@dataclass(kw_only=True)
class Rate:
    """Tokens over wall time and over the server's processor time."""

    tokens: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--chats", type=int, default=64)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--warm-seconds", type=float, default=60.0)
    parser.add_argument("--turns", type=int, default=3, help="of a live conversation")
    parser.add_argument("--rounds", type=int, default=3, help="of one chat, then all chats")
    parser.add_argument("--round-seconds", type=float, default=15.0)
    args = parser.parse_args()
    command = [sys.executable, "-m", "mingle", "serve", "--model", args.model, "--port", "0"]
    command += ["--json", "--max-requests", str(args.chats + args.sessions)]
    command += ["--max-remembered", "64"]  # caches fill early, so that growth afterwards shows
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            place = json.loads(server.stdout.readline())
            report = asyncio.run(measure(place["address"], server.pid, args))
        finally:
            server.terminate()
    print(json.dumps({**place, **report}, indent=2))


async def measure(url: str, pid: int, args: argparse.Namespace) -> dict[str, Any]:
    """One chat and all chats in turns, then everybody."""
    await timed(url, pid, args.chats, 3.0, Rate())  # warm up: memory is taken, too
    alone, batched = Rate(), Rate()
    for _ in range(args.rounds):
        await timed(url, pid, 1, args.round_seconds, alone)
        await timed(url, pid, args.chats, args.round_seconds, batched)
    together, memory = Tally(), []
    firsts = [1 + number * ANSWER_TOKENS // args.chats for number in range(args.chats)]
    work = [chat(url, number, together, first=one) for number, one in enumerate(firsts)]
    work += [converse(url, number, together, args.turns) for number in range(args.sessions)]
    await run_for(args.warm_seconds, args.seconds, work, together, watch_memory(pid, memory))
    gain = gain_of(alone, batched) if args.rounds else {}
    return {**gain, **report_of(args, together, memory)}


async def timed(url: str, pid: int, chats: int, seconds: float, rate: Rate) -> None:
    """Add what so many chats get in so many seconds, from when all of them are being answered."""
    tally = Tally()
    work = [chat(url, number, tally, most=LONG_TOKENS) for number in range(chats)]
    tasks = [asyncio.create_task(one) for one in work]
    while len(tally.tokens) < chats and not tally.errors:
        await asyncio.sleep(0.1)
    before, wall, cpu = sum(tally.tokens.values()), time.monotonic(), cpu_seconds(pid)
    await asyncio.sleep(seconds)
    rate.wall_s += time.monotonic() - wall
    rate.cpu_s += cpu_seconds(pid) - cpu
    rate.tokens += sum(tally.tokens.values()) - before
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if tally.errors:
        raise ValueError(tally.errors[0])


def gain_of(alone: Rate, batched: Rate) -> dict[str, Any]:
    """Throughput of one chat, of all, and the ratio."""
    told: dict[str, Any] = {}
    for kind, one, many in (
        ("wall", alone.tokens / alone.wall_s, batched.tokens / batched.wall_s),
        ("processor", alone.tokens / alone.cpu_s, batched.tokens / batched.cpu_s),
    ):
        told[f"tokens_per_{kind}_second_alone"] = round(one, 2)
        told[f"tokens_per_{kind}_second_batched"] = round(many, 2)
        told[f"gain_by_{kind}_time"] = round(many / one, 2)
    return told


def report_of(args: argparse.Namespace, together: Tally, memory: list[int]) -> dict[str, Any]:
    """The figures. Memory is compared between the first and the last fifth."""
    rates = sorted(count / args.seconds for count in together.tokens.values())
    fifth = max(1, len(memory) // 5)
    early, late = statistics.mean(memory[:fifth]), statistics.mean(memory[-fifth:])
    return {
        "chats": args.chats,
        "sessions": args.sessions,
        "seconds": args.seconds,
        "errors": len(together.errors),
        "first_errors": together.errors[:5],
        "lost_events": together.lost,
        "whole_answers": together.answers,
        "tokens_per_second_together": round(sum(rates), 2),
        "slowest_over_median": round(rates[0] / statistics.median(rates), 3) if rates else None,
        "chats_that_got_nothing": args.chats - len(rates),
        "first_token_s_median": round(statistics.median(together.first_s or [0.0]), 3),
        "live_answers": dict(sorted(together.spoken.items())),
        "memory_bytes_early": round(early),
        "memory_bytes_late": round(late),
        "memory_growth": round(late / early - 1, 4),
        "memory_mb_by_tenth": [round(memory[len(memory) * i // 10] / 1e6) for i in range(10)],
    }


async def run_for(
    warm_s: float, seconds: float, work: list[Any], tally: Tally, watcher: Any
) -> None:
    """Let tasks run, forget what was counted while they warmed up, watch, cancel."""
    tasks = [asyncio.create_task(one) for one in work]
    await asyncio.sleep(warm_s)
    for counted in (tally.tokens, tally.spoken, tally.first_s):
        counted.clear()
    tally.answers = 0
    tasks.append(asyncio.create_task(watcher))
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def chat(
    url: str, number: int, tally: Tally, *, most: int = ANSWER_TOKENS, first: int | None = None
) -> None:
    """One client: streams answer after answer, of `most` tokens, the first of `first`."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        for turn in range(10**9):
            question = QUESTIONS[(number + turn) % len(QUESTIONS)]
            body = {
                "messages": [{"role": "user", "content": f"{question} ({number}.{turn})"}],
                "max_tokens": most if turn or first is None else first,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            try:
                await stream_once(client, f"{url}/v1/chat/completions", body, number, tally)
            except (httpx.HTTPError, ValueError) as error:
                tally.errors.append(f"chat {number}: {error!r}")


async def stream_once(
    client: httpx.AsyncClient, url: str, body: dict[str, Any], number: int, tally: Tally
) -> None:
    """One answer. Raises ValueError for a stream that does not end as it should."""
    start, pieces, finish, usage = time.monotonic(), 0, None, None
    async with client.stream("POST", url, json=body) as answer:
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        async for line in answer.aiter_lines():
            if line == "data: [DONE]":
                if finish is None or usage is None or not 0 < pieces <= usage["completion_tokens"]:
                    raise ValueError(f"{pieces} pieces, finish {finish}, usage {usage}")
                tally.answers += 1
                return
            if not line:
                continue
            event = json.loads(line.removeprefix("data: "))
            if "error" in event:
                raise ValueError(line)
            usage = event["usage"] or usage
            for choice in event["choices"]:
                finish = choice["finish_reason"] or finish
                if choice["delta"].get("content"):
                    pieces += 1
                    tally.tokens[number] = tally.tokens.get(number, 0) + 1
                    if pieces == 1:
                        tally.first_s.append(time.monotonic() - start)
    raise ValueError("the stream ended without [DONE]")


async def converse(url: str, number: int, tally: Tally, turns: int) -> None:
    """One live conversation in text after the other, their events counted."""
    address, first = url.replace("http", "ws") + "/v1/realtime", True
    while True:
        try:
            async with websockets.connect(address, max_size=None) as socket:
                session = {"output_modalities": ["text"], "max_output_tokens": ANSWER_TOKENS}
                await socket.send(json.dumps({"type": "session.update", "session": session}))
                expected = 1
                begun = number % turns if first else 0
                for turn in range(begun):
                    await said_before(socket, turn)
                first = False
                for turn in range(begun, turns):
                    expected = await one_turn(socket, number, turn, expected, tally)
                    tally.spoken[number] = tally.spoken.get(number, 0) + 1
        except (OSError, websockets.WebSocketException) as error:
            tally.errors.append(f"session {number}: {error!r}")


async def said_before(socket: Any, turn: int) -> None:
    """A question and its answer, as if they had been said."""
    for role, kind, text in (
        ("user", "input_text", QUESTIONS[turn % len(QUESTIONS)]),
        ("assistant", "output_text", PAST),
    ):
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))


async def one_turn(socket: Any, number: int, turn: int, expected: int, tally: Tally) -> int:
    """Ask and read the answer; the number of the next event."""
    content = [{"type": "input_text", "text": QUESTIONS[turn % len(QUESTIONS)]}]
    item = {"type": "message", "role": "user", "content": content}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))
    kind = ""
    while kind != "response.done":
        event = json.loads(await socket.recv())
        kind = event["type"]
        tally.lost += int(event["event_id"].removeprefix("event_")) - expected
        expected = int(event["event_id"].removeprefix("event_")) + 1
        if kind == "error":
            tally.errors.append(f"session {number}: {event['error']['message']}")
    return expected


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def watch_memory(pid: int, memory: list[int]) -> None:
    """Resident bytes of a process, every second (Linux)."""
    status = Path(f"/proc/{pid}/statm")
    while status.exists():
        memory.append(int(status.read_text().split()[1]) * 4096)
        await asyncio.sleep(1)


if __name__ == "__main__":
    main()
