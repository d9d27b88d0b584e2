"""A conversation as plain data: what was said, and what was really heard of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mingle.messages import Message, Part, SpeechChunk, Text, as_parts, user


@dataclass(frozen=True, kw_only=True)
class Session:
    """The messages of a conversation so far; each change is a new session."""

    messages: tuple[Message, ...] = ()

    def asked(self, *parts: Part | str) -> "Session":
        """With one more question."""
        return self._with(user(*parts))

    def answered(self, text: str) -> "Session":
        """With one more answer."""
        return self._with(Message(role="assistant", parts=as_parts([text])))

    def with_system(self, text: str) -> "Session":
        """With another system message; an empty one gives the model's own back."""
        turns = tuple(message for message in self.messages if message.role != "system")
        system = (Message(role="system", parts=as_parts([text])),) if text else ()
        return replace(self, messages=(*system, *turns))

    def interrupted(self, chunks: Sequence[SpeechChunk], played_s: float) -> "Session":
        """With the last answer cut to what was heard when speech stopped after `played_s`.

        `chunks` are those that were sent, in order. An answer of which nothing was heard goes.
        """
        assert self.messages, "an answer was being spoken"
        assert self.messages[-1].role == "assistant", self.messages[-1].role
        before = replace(self, messages=self.messages[:-1])
        heard = heard_text(chunks, played_s)
        return before.answered(heard) if heard else before

    @property
    def last_answer(self) -> str:
        """The text of the last answer; empty if there is none yet."""
        answers = [message for message in self.messages if message.role == "assistant"]
        parts = answers[-1].parts if answers else ()
        return "".join(part.text for part in parts if isinstance(part, Text))

    def _with(self, message: Message) -> "Session":
        return replace(self, messages=(*self.messages, message))


def heard_text(chunks: Sequence[SpeechChunk], played_s: float) -> str:
    """The text that was heard in the first `played_s` seconds.

    A chunk that was cut counts by the share of it that was played, in whole words; in scripts
    without spaces, in characters.
    """
    heard: list[str] = []
    for chunk in chunks:
        seconds = len(chunk.samples) / chunk.sample_rate_hz
        share = (played_s - chunk.start_s) / seconds if seconds else float(played_s > chunk.start_s)
        if share < 1:
            heard.append(_share_of(chunk.text, max(0.0, share)))
            break
        heard.append(chunk.text)
    return "".join(heard).rstrip()


def _share_of(text: str, share: float) -> str:
    end = int(len(text) * share)
    around = text[max(0, end - 1) : end + 1]
    if " " in text.strip() and not any(letter.isspace() for letter in around):
        end = text.rfind(" ", 0, end) + 1  # the word that was cut was not heard
    return text[:end]
