"""/v1/responses: the core of OpenAI's Responses API, on the same engine as chat."""

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from mingle import messages
from mingle.engine.reply import AnswerError
from mingle.serving.chat_schema import ChatMessage, Tool
from mingle.serving.faults import AbsentError, UnsupportedError
from mingle.serving.flows import server_events, unless_gone
from mingle.serving.house import House
from mingle.serving.parts import messages_of
from mingle.serving.reading import Reader
from mingle.serving.responses_output import Output
from mingle.serving.responses_schema import ResponsesRequest

MAX_KEPT = 1000
"""Responses that can be referred to by their ids; older ones are forgotten."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A response and the turns that led to it, its own included."""

    told: dict[str, Any]
    turns: tuple[ChatMessage, ...]


def responses_routes(house: House) -> APIRouter:
    """The routes of responses."""
    router = APIRouter(tags=["responses"])
    kept: OrderedDict[str, Kept] = OrderedDict()

    @router.post("/v1/responses")
    async def create(asked: ResponsesRequest, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Answer."""
        house.knows(asked.model)
        _check(asked)
        earlier = (
            _find(kept, asked.previous_response_id).turns if asked.previous_response_id else ()
        )
        turns = (*earlier, *asked.turns)
        planned = await unless_gone(request, _request(house, asked, turns))
        events = _events(house, asked, planned, kept, turns)
        if asked.stream:
            return await unless_gone(
                request, server_events(events, house.tell, named=True, done="")
            )
        return JSONResponse(await unless_gone(request, _last(events)))

    @router.get("/v1/responses/{response_id}")
    async def retrieve(response_id: str) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """An earlier response."""
        return _find(kept, response_id).told

    @router.delete("/v1/responses/{response_id}")
    async def delete(response_id: str) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Forget a response."""
        _find(kept, response_id)
        del kept[response_id]
        return {"id": response_id, "object": "response", "deleted": True}

    return router


def _find(kept: OrderedDict[str, Kept], response_id: str) -> Kept:
    if response_id not in kept:
        raise AbsentError(f"there is no response '{response_id[:80]}'; it may be forgotten")
    return kept[response_id]


def _check(asked: ResponsesRequest) -> None:
    if asked.text is not None and asked.text.format.type != "text":
        raise UnsupportedError(f"text.format '{asked.text.format.type}' is not supported")
    if asked.tool_choice not in (None, "auto", "none"):
        raise UnsupportedError("tool_choice may be 'auto' or 'none': calls cannot be forced")


def _tools(asked: ResponsesRequest) -> list[Tool]:
    tools = (asked.tools or []) if asked.tool_choice != "none" else []
    return [Tool(type="function", function=tool) for tool in tools]


async def _request(
    house: House, asked: ResponsesRequest, turns: tuple[ChatMessage, ...]
) -> messages.Request:
    system = (ChatMessage(role="system", content=asked.instructions),) if asked.instructions else ()
    said = await messages_of((*system, *turns), house.settings.media, _tools(asked))
    effort = asked.reasoning.effort if asked.reasoning else None
    return house.request(
        await house.ready(said),
        temperature=asked.temperature,
        top_p=asked.top_p,
        max_new_tokens=asked.max_output_tokens or house.settings.default_max_tokens,
        thinking=effort not in (None, "none"),
    )


async def _events(
    house: House,
    asked: ResponsesRequest,
    request: messages.Request,
    kept: OrderedDict[str, Kept],
    turns: tuple[ChatMessage, ...],
) -> AsyncGenerator[dict[str, Any]]:
    """The events of a response, numbered; the last holds it whole."""
    tools = [tool.function.name for tool in _tools(asked)]
    reader = Reader(house.assistant.processor, tools)
    output = Output(_head(house, asked))
    number = 0
    async with aclosing(house.events(request)) as events:
        async for event in events:
            for told in output.add(reader.read(event), reader.reasoning_tokens):
                yield {**told, "sequence_number": number}
                number += 1
    if asked.store is not False:
        kept[output.id] = Kept(told=output.told(), turns=(*turns, *output.turns))
        while len(kept) > MAX_KEPT:
            kept.popitem(last=False)


async def _last(events: AsyncGenerator[dict[str, Any]]) -> dict[str, Any]:
    """The whole response, out of its last event."""
    last: dict[str, Any] = {}
    async with aclosing(events):
        async for event in events:
            last = event
    if "response" not in last:
        raise AnswerError("the response ended without its last event")
    return last["response"]


def _head(house: House, asked: ResponsesRequest) -> dict[str, Any]:
    """What is known of a response before it begins."""
    return {
        "object": "response",
        "created_at": int(time.time()),
        "model": house.settings.name,
        "instructions": asked.instructions,
        "previous_response_id": asked.previous_response_id,
        "max_output_tokens": asked.max_output_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "tools": [tool.model_dump() for tool in asked.tools or []],
        "tool_choice": asked.tool_choice or "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": asked.reasoning.effort if asked.reasoning else None},
        "text": {"format": {"type": "text"}},
        "metadata": asked.metadata or {},
        "error": None,
    }
