"""A raw client of live conversations, and what it may say, sensible or not."""

import asyncio
import base64
import json
import random

import numpy as np
import websockets

PATIENCE_S = 60


class Socket:
    """A raw client: sends and receives JSON."""

    def __init__(self, place, query="", **headers):
        model = place.house.settings.name
        self._url = place.url.replace("http", "ws") + f"/v1/realtime?model={model}{query}"
        self._headers = headers
        self.seen: list[dict] = []

    async def __aenter__(self):
        self.raw = await websockets.connect(
            self._url, max_size=None, additional_headers=self._headers
        )
        return self

    async def __aexit__(self, *_):
        await self.raw.close()

    async def send(self, kind, **fields):
        await self.raw.send(json.dumps({"type": kind, **fields}))

    async def until(self, *kinds):
        """The next event of a kind; all that came on the way is in `seen`."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event = json.loads(await self.raw.recv())
                self.seen.append(event)
                if event["type"] in kinds:
                    return event

    async def say(self, text):
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")

    async def hear(self, samples):
        data = (samples * 32767).astype("<i2").tobytes()
        for at in range(0, len(data), 4800):  # 100 ms
            audio = base64.b64encode(data[at : at + 4800]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    def kinds(self):
        return [event["type"] for event in self.seen]


def talk(seconds=1.0):
    return 0.5 * np.sin(np.arange(round(24_000 * seconds)) / 10)


def silence(seconds=1.0):
    return np.zeros(round(24_000 * seconds))


def malformed(draw: random.Random) -> str:
    """Something that is no event, or nearly one."""
    kinds = [
        "session.update", "input_audio_buffer.append", "conversation.item.create",
        "conversation.item.truncate", "conversation.item.delete", "response.cancel", "nonsense", "",
    ]  # fmt: skip
    values = [None, True, -1, 1e400, "", "x" * 50, [], {}, [[]], {"type": "message"}, "====", "AAA"]
    names = [
        "session",
        "audio",
        "item",
        "item_id",
        "audio_end_ms",
        "content",
        "event_id",
        "response",
    ]
    whole = {"type": draw.choice(kinds)}
    whole |= {name: draw.choice(values) for name in draw.sample(names, draw.randint(0, 4))}
    text = json.dumps(whole)
    shape = draw.random()
    if shape < 0.2:
        return text[: draw.randint(0, len(text))]
    if shape < 0.3:
        nearly = ["[" * 5000, "null", "1", '"', "\x00", '{"type": {}}', "{}"]
        return draw.choice([*nearly, r'{"type": "x", "event_id": "\ud800"}'])
    return text
