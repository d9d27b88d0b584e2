"""An answer that is spoken while it is still being written."""

import queue
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing

from mingle.errors import InputError
from mingle.messages import Event, Finished, SpeechChunk, TextDelta
from mingle.serving.flows import joined
from mingle.serving.house import House
from mingle.talker.text.marks import is_spoken

Speak = Callable[[Iterator[str]], Generator[SpeechChunk]]
"""Speaks text that arrives bit by bit; runs in a thread."""


class _Words:
    """The answer's words on their way to the talker's thread."""

    def __init__(self):
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._all = ""

    @property
    def are_spoken(self) -> bool:
        """Whether there is a letter or a digit in them."""
        return is_spoken(self._all)

    def put(self, text: str) -> None:
        """More words."""
        self._all += text
        self._queue.put(text)

    def end(self) -> None:
        """No more words; may be called twice."""
        self._queue.put(None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._queue.get, None)


async def voiced(
    house: House, events: AsyncGenerator[Event], speak: Speak
) -> AsyncGenerator[Event]:
    """The events of an answer and its sound among them; Finished comes last.

    An answer without a letter or a digit is silent.
    """
    words = _Words()
    end: Finished | None = None
    try:
        async with aclosing(joined([_read(events, words), _sound(house, words, speak)])) as both:
            async for _, event in both:
                if isinstance(event, Finished):
                    end = event
                else:
                    yield event
    finally:
        words.end()  # the speaking thread may wait for words
    if end is not None:
        yield end


async def _read(events: AsyncGenerator[Event], words: _Words) -> AsyncGenerator[Event]:
    try:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, TextDelta) and event.channel == "answer":
                    words.put(event.text)
                yield event
    finally:
        words.end()


async def _sound(house: House, words: _Words, speak: Speak) -> AsyncGenerator[Event]:
    try:
        async with aclosing(house.speech(lambda: speak(iter(words)))) as chunks:
            async for chunk in chunks:
                yield chunk
    except InputError:
        if words.are_spoken:
            raise
