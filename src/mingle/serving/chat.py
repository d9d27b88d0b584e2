"""POST /v1/chat/completions: a conversation, in one piece or streamed."""

import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from mingle import messages
from mingle.engine.speak import SpeakOptions
from mingle.errors import InputError
from mingle.messages import Event
from mingle.serving.chat_answer import Whole, chunk_delta
from mingle.serving.chat_pictures import painted_answer
from mingle.serving.chat_schema import ChatRequest
from mingle.serving.faults import UnsupportedError
from mingle.serving.flows import joined, server_events, unless_gone
from mingle.serving.house import House
from mingle.serving.parts import messages_of
from mingle.serving.reading import Piece, Reader, usage_of
from mingle.serving.sound import STREAM_HZ, rate_of
from mingle.serving.voiced import Speak, voiced


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked request: one engine request for each choice, and how they are spoken."""

    id: str
    created: int
    requests: tuple[messages.Request, ...]
    tools: tuple[str, ...]
    speak: Speak | None


def chat_routes(house: House) -> APIRouter:
    """The route of chat completions."""
    router = APIRouter(tags=["chat"])

    @router.post("/v1/chat/completions")
    async def complete(asked: ChatRequest, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Answer a conversation: text, pictures, films and sound in; text, sound, pictures out."""
        house.knows(asked.model)
        _check(asked, house)
        if "image" in (asked.modalities or ()):
            return JSONResponse(await unless_gone(request, painted_answer(house, asked)))
        plan = await unless_gone(request, _plan(house, asked))
        if asked.stream:
            chunks = _chunks(house, asked, plan)
            return await unless_gone(request, server_events(chunks, house.tell))
        return JSONResponse(await unless_gone(request, _whole(house, asked, plan)))

    return router


def _check(asked: ChatRequest, house: House) -> None:
    """Refuse what would change the answer and cannot be done."""
    if asked.n > house.settings.max_choices:
        raise InputError(f"n is {asked.n}; at most {house.settings.max_choices} answers at once")
    for name in ("frequency_penalty", "presence_penalty", "logit_bias"):
        if getattr(asked, name):
            raise UnsupportedError(f"{name} is not supported; use repetition_penalty")
    form = asked.response_format
    if form is not None and form.type != "text":
        raise UnsupportedError(f"response_format '{form.type}' is not supported; expected 'text'")
    if asked.tool_choice not in (None, "auto", "none"):
        raise UnsupportedError("tool_choice may be 'auto' or 'none': calls cannot be forced")
    if asked.top_logprobs and not asked.logprobs:
        raise InputError("top_logprobs needs logprobs: true")
    if "audio" in (asked.modalities or ()):
        house.require("talker", "speak")
        if asked.stream and asked.audio is not None and asked.audio.format != "pcm16":
            raise InputError("a stream carries audio as 'pcm16' only; set audio.format to that")


async def _plan(house: House, asked: ChatRequest) -> Plan:
    """Decode the media and write one engine request a choice."""
    tools = (asked.tools or []) if asked.tool_choice != "none" else []
    turns = await house.ready(await messages_of(asked.messages, house.settings.media, tools))
    limit = asked.max_completion_tokens or asked.max_tokens or house.settings.default_max_tokens
    stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    first = house.request(
        turns,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        min_p=asked.min_p,
        repetition_penalty=asked.repetition_penalty,
        seed=asked.seed,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        max_new_tokens=limit,
        stop=tuple(filter(None, stop)),
        thinking=asked.reasoning_effort not in (None, "none"),
    )
    return Plan(
        id=f"chatcmpl-{secrets.token_hex(12)}",
        created=int(time.time()),
        requests=tuple(_choice(first, number) for number in range(asked.n)),
        tools=tuple(tool.function.name for tool in tools),
        speak=_speaker(house, asked) if "audio" in (asked.modalities or ()) else None,
    )


def _choice(first: messages.Request, number: int) -> messages.Request:
    """Choice k of a seeded request has the seed k further on, so that the choices differ."""
    if first.sampling.seed is None:
        return first
    return replace(first, sampling=replace(first.sampling, seed=first.sampling.seed + number))


def _speaker(house: House, asked: ChatRequest) -> Speak:
    voice = asked.audio.voice if asked.audio else None
    form = asked.audio.format if asked.audio else "wav"
    rate = STREAM_HZ if asked.stream else rate_of(form)
    options = SpeakOptions(sample_rate_hz=rate, seed=(asked.seed or 0) & 0xFFFFFFFF)
    return lambda words: house.assistant.speak(
        words, voice=house.shelf.voice(voice), options=options
    )


def _events(house: House, plan: Plan, number: int) -> AsyncGenerator[Event]:
    events = house.events(plan.requests[number])
    return events if plan.speak is None else voiced(house, events, plan.speak)


async def _pieces(
    house: House, plan: Plan, readers: list[Reader]
) -> AsyncGenerator[tuple[int, Piece]]:
    """What all choices add, as it comes."""
    streams = [_events(house, plan, number) for number in range(len(readers))]
    async with aclosing(joined(streams)) as events:
        async for number, event in events:
            yield number, readers[number].read(event)


async def _whole(house: House, asked: ChatRequest, plan: Plan) -> dict[str, Any]:
    """All choices, whole."""
    readers = [Reader(house.assistant.processor, plan.tools) for _ in plan.requests]
    wholes = [Whole() for _ in readers]
    async with aclosing(_pieces(house, plan, readers)) as pieces:
        async for number, piece in pieces:
            wholes[number].add(piece)
    form = asked.audio.format if asked.audio else "wav"
    usages = [whole.usage for whole in wholes if whole.usage is not None]
    return {
        **_head(house, plan, "chat.completion"),
        "choices": [
            whole.choice(i, audio=form, logprobs=asked.logprobs) for i, whole in enumerate(wholes)
        ],
        "usage": usage_of(usages, sum(reader.reasoning_tokens for reader in readers)),
    }


async def _chunks(house: House, asked: ChatRequest, plan: Plan) -> AsyncGenerator[dict[str, Any]]:
    """The chunks of a stream; the first of each choice tells the role."""
    readers = [Reader(house.assistant.processor, plan.tools) for _ in plan.requests]
    ends: list[Piece] = []
    audio_id = f"audio_{secrets.token_hex(8)}"
    begun: set[int] = set()
    usage = {"usage": None} if asked.stream_options and asked.stream_options.include_usage else {}
    head = {**_head(house, plan, "chat.completion.chunk"), **usage}
    async with aclosing(_pieces(house, plan, readers)) as pieces:
        async for number, piece in pieces:
            if number not in begun:
                begun.add(number)
                yield {
                    **head,
                    "choices": [_choice_of(number, {"role": "assistant", "content": ""})],
                }
            delta = chunk_delta(piece, audio_id)
            if delta or piece.finish or piece.tokens:
                told = {"content": list(piece.tokens)} if piece.tokens else None
                yield {**head, "choices": [_choice_of(number, delta, told, piece.finish)]}
            if piece.finish:
                ends.append(piece)
    if usage:
        used = [piece.usage for piece in ends if piece.usage is not None]
        thought = sum(reader.reasoning_tokens for reader in readers)
        yield {**head, "choices": [], "usage": usage_of(used, thought)}


def _choice_of(
    number: int, delta: dict[str, Any], logprobs: Any = None, finish: str | None = None
) -> dict[str, Any]:
    return {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _head(house: House, plan: Plan, kind: str) -> dict[str, Any]:
    name = house.settings.name
    return {"id": plan.id, "object": kind, "created": plan.created, "model": name}
