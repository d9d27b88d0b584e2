"""A small server with Mingle's endpoints and known answers, for tests of the page."""

import asyncio
import base64
import io
import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, UploadFile, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image, ImageDraw

import mingle.serving

PAGE = Path(mingle.serving.__file__).parent / "page"
RATE = 24_000
EVERYTHING = ("thinker", "vision", "audio", "talker", "painter")
ANSWER = "**Paris** is the capital of France.\n\n- on the Seine\n- `2.1` million people\n"
METRICS = """mingle_tokens_total{{direction="in"}} {read}
mingle_tokens_total{{direction="out"}} {written}
mingle_requests_running 1
mingle_requests_waiting 0
mingle_realtime_sessions 0
mingle_time_to_first_token_seconds_sum 1.5
mingle_time_to_first_token_seconds_count 10
{experts}
"""


class Fake:
    """What the server was asked, and what it is to have."""

    def __init__(self, parts: tuple[str, ...] = EVERYTHING):
        self.parts = parts
        self.asked: list[Any] = []
        self.events: list[dict[str, Any]] = []
        self.calls: list[dict[str, str]] = []
        self.drops = 0
        self.detects_turns = True
        self.voices = [{"name": "Nora", "preset": True}, {"name": "Emil", "preset": True}]
        self.looks = 0

    def count(self, kind: str) -> int:
        """How many events of a kind the live conversation brought."""
        return sum(event["type"] == kind for event in self.events)

    def app(self) -> FastAPI:
        """The application."""
        app = FastAPI()
        app.get("/v1/models")(self.models)
        app.get("/metrics")(self.metrics)
        app.post("/v1/chat/completions")(self.chat)
        app.post("/v1/audio/speech")(self.speech)
        app.post("/v1/audio/transcriptions")(self.transcriptions)
        app.get("/v1/audio/voices")(self.list_voices)
        app.post("/v1/audio/voices")(self.add_voice)
        app.post("/v1/images/generations")(self.paint)
        app.post("/v1/images/edits")(self.edit)
        app.post("/v1/images/segmentations")(self.segment)
        app.websocket("/v1/realtime")(self.realtime)
        app.mount("/", StaticFiles(directory=PAGE, html=True))
        return app

    async def models(self) -> Any:
        model = {"id": "fake-omni", "parts": self.parts, "family": "fake", "context_tokens": 32768}
        return {"object": "list", "data": [model]}

    async def metrics(self) -> PlainTextResponse:
        self.looks += 1
        experts = "\n".join(
            f'mingle_expert_tokens_total{{modality="{kind}",expert="{i}"}} '
            f"{self.looks * (1 + (i * step) % 11)}"
            for kind, step in (("text", 3), ("image", 5), ("audio", 7))
            for i in range(32)
        )
        read = 200 * self.looks
        written = sum(80 + 30 * math.sin(look / 2) for look in range(self.looks))
        return PlainTextResponse(METRICS.format(read=read, written=written, experts=experts))

    async def chat(self, request: Request) -> Any:
        asked = await request.json()
        self.asked.append(asked)
        words = str(asked["messages"][-1]["content"])
        if "fail" in words:
            error = {"message": "the request failed on purpose; ask something else"}
            return JSONResponse({"error": error}, 500)
        pieces = self._answer(asked, slow="slowly" in words, picture="image_url" in words)
        return StreamingResponse(pieces, media_type="text/event-stream")

    async def _answer(self, asked: Any, *, slow: bool, picture: bool) -> Any:
        answer = "I see a red circle." if picture else ANSWER
        if asked["reasoning_effort"] != "none":
            yield _chunk({"reasoning_content": "France is a country; its capital is wanted."})
        for word in (answer * 40 if slow else answer).split(" "):
            yield _chunk({"content": word + " "})
            await asyncio.sleep(0.05 if slow else 0.005)
        if "audio" in asked.get("modalities", ()):
            for part in _tone(0.6, pieces=3):
                yield _chunk({"audio": {"data": base64.b64encode(part).decode()}})
        yield _chunk({}, finish="stop")
        yield f"data: {json.dumps({'choices': [], 'usage': {'completion_tokens': 24}})}\n\n"
        yield "data: [DONE]\n\n"

    async def speech(self, request: Request) -> StreamingResponse:
        self.asked.append(await request.json())
        return StreamingResponse(_tone(1.2, pieces=6), media_type="audio/pcm")

    async def transcriptions(self, request: Request) -> Any:
        form = await request.form()
        self.asked.append(
            {name: form.getlist(name) for name in form if not isinstance(form[name], UploadFile)}
        )
        segments = [
            {"start": 0.0, "end": 1.75, "text": "We met Dr. Okafor in Hangzhou."},
            {"start": 2.1, "end": 3.5, "text": "It rained."},
        ]
        text = " ".join(str(one["text"]) for one in segments)
        told = {"language": "en", "dialect": "", "duration": 3.5, "segments": segments}
        return {"text": text, **told}

    async def list_voices(self) -> Any:
        return {"data": self.voices}

    async def add_voice(self, request: Request) -> Any:
        form = await request.form()
        self.asked.append(dict(form))
        self.voices.append({"name": str(form["name"]), "preset": False})
        return self.voices[-1]

    async def paint(self, request: Request) -> Any:
        self.asked.append(await request.json())
        return _pictures(scene((255, 176, 92)))

    async def edit(self, request: Request) -> Any:
        self.asked.append(dict(await request.form()))
        return _pictures(scene((70, 92, 150)))

    async def segment(self, request: Request) -> Any:
        form = await request.form()
        self.asked.append(dict(form))
        picture = Image.open(io.BytesIO(await form["image"].read()))
        mask = Image.new("L", picture.size)
        width, height = picture.size
        ImageDraw.Draw(mask).ellipse(
            (width // 3, height // 4, width * 2 // 3, height * 3 // 4), 255
        )
        area = sum(count for value, count in enumerate(mask.histogram()) if value > 127)
        return {"data": [{"mask": _png(mask), "area": area, "confidence": 0.93}]}

    async def realtime(self, socket: WebSocket) -> None:
        """One turn is heard after some sound; the answer is long enough to be interrupted."""
        await socket.accept(subprotocol="realtime")
        self.calls.append(dict(socket.query_params))
        if "session" not in socket.query_params:
            created = {"type": "session.created", "event_id": "event_1", "session": {"id": "s1"}}
            await socket.send_json(created)
        heard = 0
        async for event in socket.iter_json():
            self.events.append(event)
            if event["type"] == "session.update":
                await socket.send_json({"type": "session.updated"})
            elif event["type"] == "input_audio_buffer.append":
                if not self.detects_turns and self._hands_free():
                    error = {"code": "unsupported", "message": "no turn detection here"}
                    await socket.send_json({"type": "error", "error": error})
                    continue
                heard += 1
                if self.drops and heard == 5:
                    self.drops -= 1
                    await socket.close(1012)  # as a server that restarts
                    return
                if heard in (20, 70):
                    await socket.send_json({"type": "input_audio_buffer.speech_started"})
                if heard == 35:
                    await socket.send_json({"type": "input_audio_buffer.speech_stopped"})
                    await self._reply(socket)
            elif event["type"] == "response.create":
                await self._reply(socket)

    def _hands_free(self) -> bool:
        updates = [event for event in self.events if event["type"] == "session.update"]
        return updates[-1]["session"]["audio"]["input"]["turn_detection"] is not None

    async def _reply(self, socket: WebSocket) -> None:
        heard = {"item_id": "q1", "transcript": "What do you see?"}
        kind = "conversation.item.input_audio_transcription.completed"
        await socket.send_json({"type": kind, **heard})
        await socket.send_json({"type": "response.created", "response": {"id": "r1"}})
        words = "I see a green test picture with a clock in it, and it is counting. "
        told = {"type": "response.output_audio_transcript.delta", "item_id": "a1", "delta": words}
        await socket.send_json(told)
        for part in _tone(6.0, pieces=12):
            data = base64.b64encode(part).decode()
            sound = {"type": "response.output_audio.delta", "item_id": "a1", "delta": data}
            await socket.send_json(sound)
        await socket.send_json({"type": "response.done", "response": {"status": "completed"}})


def _chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return f"data: {json.dumps(chunk)}\n\n"


def _tone(seconds: float, *, pieces: int) -> Iterator[bytes]:
    """A voice-like hum as 16-bit samples."""
    count = round(seconds * RATE / pieces)
    for piece in range(pieces):
        times = [(piece * count + i) / RATE for i in range(count)]
        loud = [0.25 + 0.2 * math.sin(9 * t) * math.sin(31 * t) for t in times]
        values = (round(9000 * a * math.sin(1100 * t)) for a, t in zip(loud, times, strict=True))
        yield struct.pack(f"<{count}h", *values)


def scene(sky: tuple[int, int, int]) -> Image.Image:
    """A small landscape."""
    picture = Image.new("RGB", (480, 360), sky)
    pen = ImageDraw.Draw(picture)
    for row in range(220):
        share = row / 220
        pen.line((0, row, 480, row), tuple(round(c * (0.75 + 0.25 * share)) for c in sky))
    pen.ellipse((330, 60, 400, 130), (255, 240, 205))
    pen.polygon([(0, 250), (150, 120), (300, 250)], (58, 84, 96))
    pen.polygon([(180, 260), (340, 160), (480, 260)], (44, 66, 78))
    pen.rectangle((0, 245, 480, 360), (30, 78, 82))
    return picture


def _pictures(picture: Image.Image) -> dict[str, Any]:
    return {"data": [{"b64_json": _png(picture), "seed": 7}], "size": "480x360"}


def _png(picture: Image.Image) -> str:
    target = io.BytesIO()
    picture.save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()
