"""Asking a model about the talk world, and comparing what it says with the one right answer."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mingle.engine.assistant import Assistant, parts_for
from mingle.engine.reply import collect
from mingle.evaluation.abilities.figure import Figure, share
from mingle.messages import Message
from mingle.worlds.split import Split
from mingle.worlds.talk import Conversation

LONGEST = 8  # tokens of an answer
TOGETHER = 8  # questions that are answered at a time

Draw = Callable[[np.random.Generator, Split], Conversation]


def held_out(draw: Draw, count: int) -> list[Conversation]:
    """So many conversations of the held-out split, always the same ones."""
    rng = np.random.default_rng(1)
    return [draw(rng, "held_out") for _ in range(count)]


def ask_all(assistant: Assistant, questions: Sequence[Sequence[Message]]) -> list[str]:
    """The answer to each conversation that ends with the user, with the model's own sampling."""
    said: list[str] = []
    for begin in range(0, len(questions), TOGETHER):
        requests = [
            assistant.ask(messages, max_new_tokens=LONGEST)
            for messages in questions[begin : begin + TOGETHER]
        ]
        for request in requests:
            assistant.need(*parts_for(request))
        streams = [assistant.engine.submit(request) for request in requests]
        said += [collect(iter(stream)).text for stream in streams]
    return said


def outcomes(
    assistant: Assistant, asked: Sequence[Conversation]
) -> tuple[list[tuple[str, bool]], list[str]]:
    """Of each conversation's last answer its kind, and whether it was right; and what was said."""
    said = ask_all(assistant, [one.messages[:-1] for one in asked])
    rights = [
        (one.kinds[-1], same(answer, one.answers[-1]))
        for one, answer in zip(asked, said, strict=True)
    ]
    return rights, said


def same(said: str, right: str) -> bool:
    """Whether an answer is the right one: case, an article before it and marks around it aside."""
    return normalise(said) == normalise(right)


def normalise(answer: str) -> str:
    """Lower case, single spaces, no marks around it, no 'a', 'an' or 'the' in front."""
    words = " ".join(answer.lower().split()).strip(" .,;:!?\"'")
    return re.sub(r"^(an?|the) ", "", words)


def figures_of(
    outcomes: Sequence[tuple[str, bool]], *, bar: float | None, goal: float | None
) -> list[Figure]:
    """The share of right answers, with a bar, and that of each kind, without."""
    kinds = sorted({kind for kind, _ in outcomes})
    sets = {"all": [right for _, right in outcomes]}
    sets |= {kind: [right for other, right in outcomes if other == kind] for kind in kinds}
    first, *others = (figure_of(name, rights) for name, rights in sets.items())
    return [replace(first, bar=bar, goal=goal), *others]


def figure_of(name: str, rights: Sequence[bool]) -> Figure:
    """The share of right answers to one set of questions."""
    value, low, high = share(rights)
    return Figure(
        name=f"right answers: {name}",
        value=value,
        low=low,
        high=high,
        count=len(rights),
        better="higher",
    )
