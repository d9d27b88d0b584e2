"""A whole answer, collected from its events."""

from collections.abc import Iterable
from dataclasses import dataclass

from mingle.errors import MingleError
from mingle.messages import Event, Finished, TextDelta, Usage


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What was answered; `reason` says why it ended: stop, length or cancelled."""

    text: str
    reasoning: str
    reason: str
    usage: Usage

    def __str__(self) -> str:
        return self.text


class AnswerError(MingleError, RuntimeError):
    """A request failed while it was being answered."""

    exit_code = 1


def collect(events: Iterable[Event]) -> Reply:
    """Read a request's events to their end. Raises AnswerError if they end with an error."""
    texts = {"answer": "", "reasoning": ""}
    for event in events:
        if isinstance(event, TextDelta):
            texts[event.channel] += event.text
        elif isinstance(event, Finished):
            return reply_of(event, **texts)
    raise AnswerError("the answer's events ended without Finished")


def reply_of(end: Finished, *, answer: str, reasoning: str) -> Reply:
    """The reply that ended so. Raises AnswerError if it ended with an error."""
    if end.reason == "error" or end.usage is None:
        raise AnswerError(end.error)
    return Reply(
        text=answer.strip(), reasoning=reasoning.strip(), reason=end.reason, usage=end.usage
    )
