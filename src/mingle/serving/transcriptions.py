"""POST /v1/audio/transcriptions: speech to text, with hints, in the forms of OpenAI's endpoint."""

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import Field

from mingle.engine.subtitles import srt, vtt
from mingle.engine.transcribe import Hints, Segment, Transcript, transcript
from mingle.errors import InputError
from mingle.processing.recording import Recording
from mingle.serving.chat_schema import MULTIPART, Wire
from mingle.serving.faults import UnsupportedError
from mingle.serving.flows import from_thread, server_events, unless_gone
from mingle.serving.house import House


class TranscriptionForm(Wire):
    """A recording and what is known of it. `prompt` says what it is about."""

    file: UploadFile
    model: str | None = None
    language: Annotated[str, Field(max_length=40)] | None = None
    prompt: Annotated[str, Field(max_length=4000)] | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    stream: bool = False
    dialect: Annotated[str, Field(max_length=40)] | None = None
    hotwords: Annotated[list[str], Field(max_length=1000)] | None = None
    """Words that may occur, each its own field or several with commas (an extension of ours)."""
    granularities: Annotated[list[str] | None, Field(alias="timestamp_granularities[]")] = None

    @property
    def hints(self) -> Hints:
        """What helps the recogniser."""
        words = [word.strip() for field in self.hotwords or () for word in field.split(",")]
        return Hints(
            language=self.language or None,
            dialect=self.dialect or None,
            context=self.prompt or None,
            hotwords=tuple(filter(None, words)),
        )


def transcription_routes(house: House) -> APIRouter:
    """The route of transcriptions."""
    router = APIRouter(tags=["audio"])

    @router.post("/v1/audio/transcriptions")
    async def transcribe(  # pyright: ignore[reportUnusedFunction]
        form: Annotated[TranscriptionForm, MULTIPART], request: Request
    ) -> Response:
        """Write down what is said in a recording of any length."""
        house.knows(form.model)
        house.require("audio", "hear")
        if "word" in (form.granularities or ()):
            raise UnsupportedError("there are no times of single words; ask for 'segment'")
        if form.stream and form.response_format != "json":
            raise InputError("a stream has the form json; leave response_format out")
        recording = await unless_gone(request, house.decoders.listen(await form.file.read()))
        if form.stream:
            events = _events(house, recording, form.hints)
            return await unless_gone(
                request, server_events(events, house.tell, named=True, done="")
            )
        said = await unless_gone(request, _all(house, recording, form.hints))
        whole = transcript(said, form.hints, house.assistant.processor)
        return _formed(form.response_format, whole, recording.seconds)

    return router


def _formed(form: str, said: Transcript, seconds: float) -> Response:
    usage = {"type": "duration", "seconds": round(seconds)}
    match form:
        case "text":
            return PlainTextResponse(said.text + "\n")
        case "srt":
            return PlainTextResponse(srt(said.segments), media_type="application/x-subrip")
        case "vtt":
            return PlainTextResponse(vtt(said.segments), media_type="text/vtt")
        case "json":
            return JSONResponse({"text": said.text, "usage": usage})
        case _:
            segments = [{"id": i, **asdict(one)} for i, one in enumerate(said.segments)]
            told = {
                "task": "transcribe",
                "language": said.language,
                "dialect": said.dialect,
                "duration": seconds,
                "text": said.text,
                "segments": segments,
                "usage": usage,
            }
            return JSONResponse(told)


async def segments_of(house: House, recording: Recording, hints: Hints) -> AsyncGenerator[Segment]:
    def make() -> Generator[Segment]:
        yield from house.assistant.segments(recording, hints)

    async with aclosing(from_thread(make)) as segments:
        async for segment in segments:
            yield segment


async def _all(house: House, recording: Recording, hints: Hints) -> list[Segment]:
    async with aclosing(segments_of(house, recording, hints)) as segments:
        return [segment async for segment in segments]


async def _events(
    house: House, recording: Recording, hints: Hints
) -> AsyncGenerator[dict[str, Any]]:
    """A segment's words as soon as they are known, then all of them."""
    said: list[Segment] = []
    text = ""
    async with aclosing(segments_of(house, recording, hints)) as segments:
        async for segment in segments:
            said.append(segment)
            whole = transcript(said, hints, house.assistant.processor).text
            delta, text = whole[len(text) :], whole
            times = {"start": segment.start, "end": segment.end}
            yield {"type": "transcript.text.delta", "delta": delta, **times}
    usage = {"type": "duration", "seconds": round(recording.seconds)}
    yield {"type": "transcript.text.done", "text": text, "usage": usage}
