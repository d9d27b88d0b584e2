"""Tokens in, text deltas out: whole characters, thinking apart from the answer, stop strings."""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, runtime_checkable

from mingle.engine.sampling import Choice
from mingle.messages import TextDelta

Channel = Literal["answer", "reasoning"]


@runtime_checkable
class Decoder(Protocol):
    """Token ids in, whole characters out (`mingle.processing.tokenizer.StreamDecoder`)."""

    def feed(self, ids: Iterable[int]) -> str: ...

    def finish(self) -> str: ...


@runtime_checkable
class Splitter(Protocol):
    """Tells thoughts from the answer (`mingle.processing.reasoning.ReasoningSplitter`)."""

    def feed(self, text: str) -> list[tuple[Channel, str]]: ...

    def finish(self) -> list[tuple[Channel, str]]: ...


class AnswerWriter:
    """The text side of one request. `stopped` turns true when a stop string was met.

    Stop strings count in the answer, not in the thinking before it; the text from the stop string
    on is not given out.
    """

    def __init__(self, decoder: Decoder, splitter: Splitter, stop: Sequence[str]):
        self.stopped = False
        self._decoder = decoder
        self._splitter = splitter
        self._stop = StopFinder(stop)
        self._pending: list[Choice] = []

    def push(self, choice: Choice) -> list[TextDelta]:
        """Read one token; return what is certain now."""
        self._pending.append(choice)
        pieces = self._splitter.feed(self._decoder.feed([choice.token]))
        return self._deltas(self._checked(pieces))

    def finish(self) -> list[TextDelta]:
        """The request ended: give out what was held back, unless a stop string cut it off."""
        if self.stopped:
            pieces = []
        else:
            pieces = self._splitter.feed(self._decoder.finish()) + self._splitter.finish()
            pieces = self._checked(pieces)
            if not self.stopped:
                pieces.append(("answer", self._stop.flush()))
        deltas = self._deltas(pieces)
        return [*deltas, self._delta("answer", "")] if self._pending else deltas

    def _checked(self, pieces: list[tuple[Channel, str]]) -> list[tuple[Channel, str]]:
        checked: list[tuple[Channel, str]] = []
        for channel, text in pieces:
            certain = text
            if channel == "answer":
                certain = self._stop.push(text)
                self.stopped = self._stop.found
            checked.append((channel, certain))
            if self.stopped:
                break
        return checked

    def _deltas(self, pieces: list[tuple[Channel, str]]) -> list[TextDelta]:
        return [self._delta(channel, text) for channel, text in pieces if text]

    def _delta(self, channel: Channel, text: str) -> TextDelta:
        """A delta names the tokens read since the one before it."""
        tokens, self._pending = self._pending, []
        logprobs = tuple(choice.logprob for choice in tokens if choice.logprob is not None)
        return TextDelta(
            text=text,
            channel=channel,
            token_ids=tuple(choice.token for choice in tokens),
            logprobs=logprobs,
            alternatives=tuple(choice.alternatives for choice in tokens) if logprobs else (),
        )


class StopFinder:
    """Holds text back while it may be the beginning of a stop string."""

    def __init__(self, stop: Sequence[str]):
        self.found = False
        self._stop = tuple(text for text in stop if text)
        self._held = ""

    def push(self, text: str) -> str:
        """The text that no stop string can claim any more; up to the stop string if one is met."""
        self._held += text
        starts = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if starts:
            self.found = True
            return self._give(min(starts))
        return self._give(len(self._held) - may_begin(self._held, self._stop))

    def flush(self) -> str:
        """What was held back, when no more text comes."""
        return self._give(len(self._held))

    def _give(self, length: int) -> str:
        given, self._held = self._held[:length], self._held[length:]
        return given


def may_begin(text: str, markers: Sequence[str]) -> int:
    """Length of the longest ending of the text that is a proper beginning of a marker."""
    for length in range(min(len(text), max(map(len, markers), default=1) - 1), 0, -1):
        ending = text[-length:]
        if any(len(marker) > length and marker.startswith(ending) for marker in markers):
            return length
    return 0
