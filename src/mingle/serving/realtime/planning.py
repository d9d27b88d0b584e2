"""What the model is asked, and how much of a live conversation it can read."""

import time
from dataclasses import dataclass
from typing import Any

from mingle.errors import InputError
from mingle.messages import Part, Request, Text
from mingle.processing.ready import LogMel, arrays_of
from mingle.serving.chat_schema import Tool
from mingle.serving.house import House
from mingle.serving.realtime.ahead import Planned
from mingle.serving.realtime.conversation import Conversation, Window
from mingle.serving.realtime.wire import RealtimeTool, ResponseWish, Session
from mingle.serving.settings import FEWEST
from mingle.serving.sound import pace_of
from mingle.serving.tools import instructions
from mingle.talker.instruction import Style

SPARE_TOKENS = 64  # for markup at the ends of a prompt
KEPT_VIDEO = 0.5  # of the window, when its end has passed a picture
AHEAD = 0.9  # of the budget: what is read ahead forgets before an answer has to


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to answer, and whether it is spoken."""

    request: Request
    spoken: bool
    voice: str | None
    style: Style
    tools: tuple[str, ...]
    kept: bool
    """Whether the answer becomes part of the conversation."""
    metadata: dict[str, Any] | None


class Planner:
    """Makes requests out of a conversation and a session's settings."""

    def __init__(self, house: House):
        self._house = house

    def count(self, part: Part) -> int:
        """Tokens of a ready part."""
        processor = self._house.assistant.processor
        if isinstance(part, Text):
            return len(processor.tokenizer.encode(part.text))
        if isinstance(part.source, LogMel):
            return processor.audio.tokens(len(part.source.frames))
        return sum(len(values) for values in arrays_of(part)) // processor.image.merge**2

    def answer(self, conversation: Conversation, settings: Session, wish: ResponseWish) -> Plan:
        """An answer; what does not fit any more is forgotten. Raises InputError."""
        modalities = wish.output_modalities or settings.output_modalities
        if "audio" in modalities:
            self._house.require("talker", "speak")
        limit = self._limit(wish.max_output_tokens or settings.max_output_tokens)
        conversation.forget(conversation.stale(budget=self._budget(settings, limit)))
        return Plan(
            request=self._house.request(
                conversation.messages(
                    _system(settings, wish.instructions), words_first=self._words_first
                ),
                temperature=settings.temperature,
                max_new_tokens=limit,
            ),
            spoken="audio" in modalities,
            voice=settings.audio.output.voice,
            style=Style(speed=pace_of(settings.audio.output.speed)),
            tools=tuple(tool.name for tool in _tools(settings)),
            kept=wish.conversation == "auto",
            metadata=wish.metadata,
        )

    def ahead(self, conversation: Conversation, settings: Session) -> Planned | None:
        """Reading what has come; then what is too old is forgotten."""
        limit = self._limit(settings.max_output_tokens)
        limits, now_s = self._house.settings.realtime, time.monotonic()
        window = Window(
            most=self._most_pictures,
            since_s=now_s - limits.window_s,
            kept_s=now_s - KEPT_VIDEO * limits.window_s,
        )
        budget = int(AHEAD * self._budget(settings, limit))
        stale = conversation.stale(budget=budget, window=window)
        messages = conversation.messages(
            _system(settings, None), without=stale, words_first=self._words_first
        )
        if not messages or messages[-1].role != "user":
            return None
        request = self._house.request(messages, max_new_tokens=0)
        return request, lambda: conversation.forget(stale)

    @property
    def _most_pictures(self) -> int:
        """No more than a film has for this model: it may not know what to make of them."""
        processor = self._house.assistant.processor
        most = self._house.settings.realtime.max_pictures
        if processor.video is None:
            return most
        known = processor.video.max_frames // processor.image.temporal_patch
        return max(FEWEST, min(most, known))

    @property
    def _words_first(self) -> bool:
        return self._house.assistant.processor.template.words_first

    def _limit(self, wished: int | str) -> int:
        most = self._house.settings.default_max_tokens
        return wished if isinstance(wished, int) else most

    def _budget(self, settings: Session, answer_tokens: int) -> int:
        """How many tokens the conversation may have."""
        limits = self._house.assistant.engine.limits
        most = min(self._house.assistant.processor.context_tokens, limits.max_cache_tokens)
        system = self.count(Text(text=_system(settings, None)))
        left = most - answer_tokens - system - SPARE_TOKENS
        if left < SPARE_TOKENS:
            raise InputError(
                f"instructions and answer leave {left} of {most} tokens for the conversation; "
                "shorten the instructions or lower max_output_tokens"
            )
        return left


def _tools(settings: Session) -> list[RealtimeTool]:
    return settings.tools if settings.tool_choice == "auto" else []


def _system(settings: Session, instead: str | None) -> str:
    told = [settings.instructions if instead is None else instead]
    if tools := _tools(settings):
        told.append(instructions([Tool(type="function", function=tool) for tool in tools]))
    return "\n\n".join(filter(None, told))
