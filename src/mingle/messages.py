"""What travels through Mingle: messages and their parts, requests, spans, and events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal


class Modality(IntEnum):
    """Which router scores a token. Video frames are images to the router (SPEC_PERCEPTION 1).

    ABOUT_MEDIA is text that stands behind a medium, in a model that has a router for it; in all
    others (each of the released ones) that is TEXT. nano has one: its plain text stays its base's.
    """

    TEXT = 0
    IMAGE = 1
    AUDIO = 2
    ABOUT_MEDIA = 3


ROUTED = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
"""The modalities that have a router of their own in the released models."""


# --- what a user sends ---------------------------------------------------------------------------

MediaSource = Any
"""A path, bytes, a PIL image, or a numpy array; `processing` decides and says what it refuses."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """Plain text. Strings that look like special tokens are text too, never control."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """One picture: a path, encoded bytes, or a PIL image."""

    source: MediaSource
    size: tuple[int, int] | None = None
    """(height, width) in pixels that the model reads; None: the picture's own, on the grid."""


@dataclass(frozen=True, kw_only=True)
class Audio:
    """One recording: a path, encoded bytes, or `(samples, sample_rate_hz)`."""

    source: MediaSource


@dataclass(frozen=True, kw_only=True)
class Video:
    """One film: a path to a file or a folder of frames, encoded bytes, or a list of frames."""

    source: MediaSource
    frames_per_second: float = 2.0
    max_frames: int = 170
    size: tuple[int, int] | None = None
    """(height, width) in pixels of the frames that the model reads; None: by the pixel budget."""


Part = Text | Image | Audio | Video
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn. A system message replaces the default system prompt and must come first."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the next token is chosen. temperature 0 is greedy; top_k 0, top_p 1, min_p 0 are off.

    `logprobs` 0 reports the chosen token's, n the n likeliest tokens' as well, None nothing.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    logprobs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing to answer: a conversation that ends with the user, and how to answer it."""

    messages: tuple[Message, ...]
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    max_new_tokens: int = 512
    stop: tuple[str, ...] = ()
    thinking: bool = False
    prefill: str = ""
    """Text the answer is made to begin with (for example a language hint for recognition)."""


# --- where media sit in a prompt -----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Span:
    """A run of placeholder tokens that one media item fills: token `start`, `length` tokens.

    `grid` is (time, rows, columns) in thinker tokens for pictures and frames, None for audio.
    `item` counts within its kind: pictures, frames and recordings are numbered separately.
    """

    start: int
    length: int
    kind: Literal["image", "frame", "audio", "query"]
    item: int
    grid: tuple[int, int, int] | None = None

    @property
    def modality(self) -> Modality:
        """The router that scores these tokens."""
        return Modality.AUDIO if self.kind == "audio" else Modality.IMAGE


# --- what comes back -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TextDelta:
    """New text of the answer, whole characters only; `channel` tells reasoning from answer."""

    text: str
    channel: Literal["answer", "reasoning"] = "answer"
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    alternatives: tuple[tuple[tuple[int, float], ...], ...] = ()
    """For each token the likeliest (token id, logprob), where the request asks for them."""


@dataclass(frozen=True, kw_only=True)
class SpeechChunk:
    """Mono float32 samples in [-1, 1] and the text they speak; `start_s` from the first sample."""

    samples: Any
    sample_rate_hz: int
    start_s: float
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A finished picture (PIL) and what is needed to make it again."""

    image: Any
    seed: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens read and written, by kind, and how many were taken from a reused prefix."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The last event of every request."""

    reason: Literal["stop", "length", "cancelled", "error"]
    usage: Usage | None = None
    error: str = ""


Event = TextDelta | SpeechChunk | Picture | Finished


def user(*parts: Part | str) -> Message:
    """Build a user message; bare strings become text parts."""
    return Message(role="user", parts=as_parts(parts))


def as_parts(parts: Sequence[Part | str]) -> tuple[Part, ...]:
    """Turn bare strings into Text parts, leave the rest."""
    return tuple(Text(text=part) if isinstance(part, str) else part for part in parts)


def is_media(part: Part) -> bool:
    """Whether the part carries a picture, a film or a recording."""
    return not isinstance(part, Text)


def as_path(source: MediaSource) -> Path | None:
    """The source as a path when it is one, else None."""
    return Path(source) if isinstance(source, str | Path) else None
