"""An answer on the wire: a whole message, or what one piece adds to it."""

import base64
import secrets
import time
from typing import Any

import numpy as np

from mingle.messages import SpeechChunk, Usage
from mingle.serving.reading import Piece
from mingle.serving.sound import encoded, pcm16
from mingle.serving.tools import Call

AUDIO_KEPT_S = 3600
"""OpenAI's clients expect to be told until when an audio answer can be referred to by its id."""


class Whole:
    """Collects the pieces of one choice."""

    def __init__(self):
        self.text, self.reasoning, self.finish = "", "", "stop"
        self.calls: list[Call] = []
        self.tokens: list[dict[str, Any]] = []
        self.speech: list[SpeechChunk] = []
        self.usage: Usage | None = None

    def add(self, piece: Piece) -> None:
        """Add what came next."""
        self.text += piece.text
        self.reasoning += piece.reasoning
        self.calls += piece.calls
        self.tokens += piece.tokens
        self.speech += [piece.speech] if piece.speech else []
        self.finish = piece.finish or self.finish
        self.usage = piece.usage or self.usage

    def choice(self, number: int, *, audio: str, logprobs: bool) -> dict[str, Any]:
        """The choice as JSON."""
        text = self.text.strip()
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning.strip()
        if self.calls:
            message["tool_calls"] = [call_json(call) for call in self.calls]
            message["content"] = text or None
        if self.speech:
            message["audio"] = self._audio(audio)
        told = {"content": self.tokens, "refusal": None} if logprobs else None
        return {
            "index": number,
            "message": message,
            "logprobs": told,
            "finish_reason": self.finish,
        }

    def _audio(self, form: str) -> dict[str, Any]:
        samples = np.concatenate([chunk.samples for chunk in self.speech])
        data = encoded(samples, self.speech[0].sample_rate_hz, form)
        return {
            "id": f"audio_{secrets.token_hex(8)}",
            "data": base64.b64encode(data).decode(),
            "expires_at": int(time.time()) + AUDIO_KEPT_S,
            "transcript": "".join(chunk.text for chunk in self.speech).strip(),
        }


def chunk_delta(piece: Piece, audio_id: str) -> dict[str, Any]:
    """What a piece adds, as the delta of a chunk."""
    delta: dict[str, Any] = {}
    if piece.text:
        delta["content"] = piece.text
    if piece.reasoning:
        delta["reasoning_content"] = piece.reasoning
    if piece.calls:
        delta["tool_calls"] = [{"index": call.number, **call_json(call)} for call in piece.calls]
    if piece.speech is not None:
        data = base64.b64encode(pcm16(piece.speech.samples)).decode()
        delta["audio"] = {"id": audio_id, "data": data, "transcript": piece.speech.text}
    return delta


def call_json(call: Call) -> dict[str, Any]:
    """A call as JSON."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}
