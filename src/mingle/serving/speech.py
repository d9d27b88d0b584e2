"""POST /v1/audio/speech: text to speech, whole or as it is made."""

import base64
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from io import BytesIO
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import Field

from mingle.engine.speak import SpeakOptions
from mingle.errors import InputError
from mingle.messages import SpeechChunk
from mingle.processing.recording import Recording
from mingle.processing.sound_file import RATES, SoundWriter, carried_rate
from mingle.serving.chat_schema import Wire
from mingle.serving.flows import Streamed, server_events, unless_gone
from mingle.serving.house import House
from mingle.serving.media import bytes_of
from mingle.serving.sound import MEDIA_TYPES, Samples, encoded, pace_of, pcm16, rate_of
from mingle.talker.instruction import Style

STREAMED = ("pcm", "mp3", "opus", "aac")
"""Formats whose beginning does not tell their length."""
MAX_REFERENCES = 8
Sounding = Callable[[], Generator[SpeechChunk]]


class VoiceId(Wire):
    """A voice by its id, which is its name."""

    id: str


class SpeechRequest(Wire):
    """What to say, who says it and how."""

    model: str | None = None
    input: Annotated[str, Field(min_length=1, max_length=100_000)]
    voice: str | VoiceId | None = None
    instructions: Annotated[str, Field(max_length=2000)] | None = None
    response_format: Literal["wav", "mp3", "flac", "opus", "pcm", "aac"] = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    ref_audio: str | Annotated[list[str], Field(max_length=MAX_REFERENCES)] | None = None
    ref_text: Annotated[str, Field(max_length=4000)] | None = None
    emotion: Annotated[str, Field(max_length=80)] | None = None
    dialect: Annotated[str, Field(max_length=80)] | None = None
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


def speech_routes(house: House) -> APIRouter:
    """The route of speech."""
    router = APIRouter(tags=["audio"])

    @router.post("/v1/audio/speech", response_class=Response)
    async def speak(asked: SpeechRequest, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Speak a text. `ref_audio` (data: URLs) is the voice to speak with."""
        house.knows(asked.model)
        house.require("talker", "speak")
        form = asked.response_format
        rate = _rate(asked, form)
        make = await unless_gone(request, _sounding(house, asked, rate))
        if asked.stream_format == "sse":
            events = _events(house, make, _Encoder(form))
            return await unless_gone(
                request, server_events(events, house.tell, named=True, done="")
            )
        kind = MEDIA_TYPES[form]
        if form not in STREAMED:
            return Response(await unless_gone(request, _whole(house, make, form)), media_type=kind)
        data = _data(house, make, _Encoder(form))
        first = await unless_gone(request, anext(data))
        return Streamed(_behind(first, data), media_type=kind)

    return router


def _rate(asked: SpeechRequest, form: str) -> int | None:
    """The rate to send; InputError for one that the format cannot carry."""
    if asked.sample_rate is None:
        return rate_of(form)
    if form in RATES and carried_rate(form, asked.sample_rate) != asked.sample_rate:
        rates = ", ".join(map(str, sorted(RATES[form])))
        raise InputError(f"{form} does not carry {asked.sample_rate} Hz; it carries {rates}")
    return asked.sample_rate


async def _sounding(house: House, asked: SpeechRequest, rate: int | None) -> Sounding:
    """What makes the sound, to be called in a thread; references are decoded already."""
    urls = [asked.ref_audio] if isinstance(asked.ref_audio, str) else asked.ref_audio or []
    if urls:
        house.require_cloning()
    data = [await bytes_of(url, "ref_audio", house.settings.media) for url in urls]
    heard: list[Recording] = [await house.decoders.listen(one) for one in data]
    if asked.ref_text and not heard:
        raise InputError("ref_text tells what ref_audio says; send that too")
    name = asked.voice.id if isinstance(asked.voice, VoiceId) else asked.voice
    style = Style(
        description=asked.instructions,
        emotion=asked.emotion,
        dialect=asked.dialect,
        speed=pace_of(asked.speed),
    )
    options = SpeakOptions(sample_rate_hz=rate, seed=asked.seed)

    def make() -> Generator[SpeechChunk]:
        voice = house.shelf.clone(heard, asked.ref_text) if heard else house.shelf.voice(name)
        return house.assistant.speak(asked.input, voice=voice, style=style, options=options)

    return make


async def _whole(house: House, make: Sounding, form: str) -> bytes:
    async with aclosing(house.speech(make)) as chunks:
        made = [chunk async for chunk in chunks]
    samples: Samples = np.concatenate([chunk.samples for chunk in made])
    return encoded(samples, made[0].sample_rate_hz, form)


async def _data(house: House, make: Sounding, encoder: "_Encoder") -> AsyncGenerator[bytes]:
    """The bytes of the file, as they are made."""
    async with aclosing(house.speech(make)) as chunks:
        async for chunk in chunks:
            if data := encoder.feed(chunk):
                yield data
    if data := encoder.finish():
        yield data


async def _behind(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        yield first
        async for data in rest:
            yield data


async def _events(
    house: House, make: Sounding, encoder: "_Encoder"
) -> AsyncGenerator[dict[str, Any]]:
    async with aclosing(_data(house, make, encoder)) as pieces:
        async for data in pieces:
            yield {"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()}
    yield {"type": "speech.audio.done", "seconds": round(encoder.seconds, 3)}


class _Encoder:
    """Bytes of a sound file, given out as they are written."""

    def __init__(self, form: str):
        self._form, self._target = form, BytesIO()
        self._writer: SoundWriter | None = None
        self._sent, self.seconds = 0, 0.0

    def feed(self, chunk: SpeechChunk) -> bytes:
        """The bytes that a chunk completes; of wav and flac, none before the end."""
        self.seconds += len(chunk.samples) / chunk.sample_rate_hz
        if self._form == "pcm":
            return pcm16(chunk.samples)
        if self._writer is None:
            self._writer = SoundWriter(self._target, self._form, chunk.sample_rate_hz)
        self._writer.write(chunk.samples)
        return self._new() if self._form in STREAMED else b""

    def finish(self) -> bytes:
        """The rest."""
        if self._writer is None:
            return b""
        self._writer.__exit__(None, None, None)
        return self._new()

    def _new(self) -> bytes:
        with self._target.getbuffer() as written:
            data = bytes(written[self._sent :])
        self._sent += len(data)
        return data
