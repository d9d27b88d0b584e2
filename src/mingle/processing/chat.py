"""The chat template, as data, and the writer that turns it and a user's words into tokens."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64

from mingle.messages import Span
from mingle.processing.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class MediaTags:
    """What stands around one medium: markup before and after, and the placeholder token."""

    start: str
    patch: str
    end: str


@dataclass(frozen=True, kw_only=True)
class RecognitionPrompt:
    """How a family asks for a transcript: instruction, hints with a {hint}, start of the answer.

    `answer` begins the model's turn when the language (or dialect) is known: it holds {language}.
    `separator` stands between hotwords. `languages` maps codes to the names that the model knows.
    """

    instruction: str
    context: str
    hotwords: str
    separator: str
    answer: str
    languages: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """How a family writes a conversation. Each string is markup: its special tokens are control.

    `words_first`: a turn's words are written before its media, whatever their order in the message.
    `timestamp` holds {seconds}. `reasoning` are the tags around thoughts in an answer; they are
    text. `stop` are the tokens that end an answer.
    """

    system: str
    user: str
    assistant: str
    turn_end: str
    default_system: str
    thinking_on: str
    thinking_off: str
    image: MediaTags
    audio: MediaTags
    frame: MediaTags
    film_start: str
    film_end: str
    timestamp: str
    reasoning: tuple[str, str]
    stop: tuple[str, ...]
    recognition: RecognitionPrompt
    words_first: bool = False


class PromptWriter:
    """Builds one prompt from left to right; neighbouring pieces of text are encoded together."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._spans: list[Span] = []
        self._text = ""
        self._pieces: dict[str, list[int | str]] = {}  # of markup, which every picture repeats
        self._encoded: dict[str, list[int]] = {}

    def markup(self, text: str) -> None:
        """Write a template's text: special tokens in it become themselves."""
        if text not in self._pieces:
            cut = enumerate(self._tokenizer.split_special(text))
            pieces = (self._tokenizer.token_id(one) if i % 2 else one for i, one in cut)
            self._pieces[text] = [piece for piece in pieces if piece != ""]
        for piece in self._pieces[text]:
            if isinstance(piece, int):
                self.boundary()
                self._ids.append(piece)
            else:
                self._text += piece

    def text(self, text: str) -> None:
        """Write a user's text: nothing in it is control."""
        self._text += text

    def boundary(self) -> int:
        """No token reaches across this place. Returns how many tokens stand before it."""
        if self._text:
            if self._text not in self._encoded:
                self._encoded[self._text] = self._tokenizer.encode(self._text)
            self._ids += self._encoded[self._text]
            self._text = ""
        return len(self._ids)

    def medium(
        self,
        tags: MediaTags,
        kind: Literal["image", "frame", "audio"],
        *,
        item: int,
        tokens: int,
        grid: tuple[int, int, int] | None = None,
    ) -> None:
        """Write a medium's tags and placeholders, and note its span."""
        self.markup(tags.start)
        self.boundary()
        span = Span(start=len(self._ids), length=tokens, kind=kind, item=item, grid=grid)
        self._spans.append(span)
        self._ids += [self._tokenizer.token_id(tags.patch)] * tokens
        self.markup(tags.end)

    def finish(self) -> tuple[Int64[np.ndarray, " tokens"], tuple[Span, ...]]:
        """All ids and spans."""
        self.boundary()
        return np.asarray(self._ids, dtype=np.int64), tuple(self._spans)
