"""Printing an answer while it comes."""

import sys
from collections.abc import Iterable
from typing import Literal

from mingle.engine.reply import Reply, reply_of
from mingle.messages import Event, Finished, TextDelta

Outlet = Literal["stdout", "stderr"]

DIM, PLAIN = "\x1b[2m", "\x1b[0m"


class Shown:
    """The text of an answer as far as it was shown; it stays when showing is interrupted."""

    def __init__(self) -> None:
        self.texts = {"answer": "", "reasoning": ""}


def show(events: Iterable[Event], *, reasoning: Outlet, shown: Shown | None = None) -> Reply:
    """Print an answer to stdout as it comes, and its reasoning, dim, to the outlet named."""
    texts = (shown or Shown()).texts
    reply = None
    for event in events:
        if isinstance(event, TextDelta) and event.text:
            if event.channel == "answer" and texts["reasoning"] and not texts["answer"]:
                print("\n", file=getattr(sys, reasoning), flush=True)
            texts[event.channel] += event.text
            _print(event, reasoning)
        elif isinstance(event, Finished):
            print(flush=True)
            reply = reply_of(event, **texts)
    assert reply is not None, "the last event is Finished"
    return reply


def _print(delta: TextDelta, reasoning: Outlet) -> None:
    thought = delta.channel == "reasoning"
    out = getattr(sys, reasoning) if thought else sys.stdout
    text = f"{DIM}{delta.text}{PLAIN}" if thought and out.isatty() else delta.text
    print(text, end="", file=out, flush=True)
