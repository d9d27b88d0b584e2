"""The scenes of `mingle demo`: each shows one ability for real and reports what it measured."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mingle.cli.tour_page import Board
from mingle.engine.assistant import Assistant
from mingle.errors import InputError
from mingle.messages import Image, Message, Text, TextDelta

Play = Callable[[Assistant, Board], dict[str, Any]]
"""Plays one scene on the board; returns its figures, ready for JSON."""

MEDIA = "demo"  # folder of the model that holds what the tour shows
PAINTING: dict[str, Any] = {"seed": 1}
VOICES = 2
HELLO = "Hello, I am nano. I learned to speak on two processor cores."


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One stop of the tour. `parts`: what it needs beside the thinker, or it is left out."""

    name: str
    title: str
    play: Play
    parts: tuple[str, ...] = ()


def play(assistant: Assistant, board: Board, *, only: str | None) -> list[dict[str, Any]]:
    """Play all scenes that the model has the parts for, or the one that is named.

    Raises InputError for an unknown name, or for a named scene that this model cannot play.
    """
    chosen = [scene for scene in SCENES if only in (None, scene.name)]
    if not chosen:
        known = ", ".join(scene.name for scene in SCENES)
        raise InputError(f"there is no scene '{only}'; the scenes: {known}")
    able = [scene for scene in chosen if set(scene.parts) <= set(assistant.folder.parts)]
    if not able:
        missing = [part for part in chosen[0].parts if part not in assistant.folder.parts]
        raise InputError(f"the scene '{only}' needs {', '.join(missing)}; this model has none")
    reports = []
    for scene in able:
        board.scene(scene.title)
        start = time.perf_counter()
        figures = scene.play(assistant, board)
        seconds = round(time.perf_counter() - start, 2)
        board.note(f"{seconds:.1f} s")
        reports.append({"name": scene.name, "seconds": seconds, **figures})
    return reports


def ask(
    assistant: Assistant, board: Board, question: str, *, tokens: int = 64, **media: Any
) -> dict[str, Any]:
    """Stream one answer and time it."""
    board.you(question)
    start = time.perf_counter()
    times: list[float] = []

    def pieces() -> Iterator[str]:
        for event in assistant.stream(question, max_new_tokens=tokens, **media):
            if isinstance(event, TextDelta):
                times.extend([time.perf_counter()] * len(event.token_ids))
                yield event.text

    answer = board.model_writes(pieces())
    writing_s = times[-1] - times[0] if times else 0.0
    return {
        "question": question,
        "answer": answer,
        "tokens": len(times),
        "first_s": round(times[0] - start, 3) if times else None,
        "tokens_per_s": round((len(times) - 1) / writing_s, 1) if writing_s else 0.0,
    }


def write_down(assistant: Assistant, board: Board) -> dict[str, Any]:
    """A real recording, written down."""
    recording = board.show(_demo(assistant, "recording.flac"), "a recording of a real voice")
    heard = assistant.transcribe(recording)
    board.model(heard.text)
    return {"text": heard.text}


def look(assistant: Assistant, board: Board) -> dict[str, Any]:
    """Questions about a picture."""
    picture = board.show(_demo(assistant, "picture.png"), "a picture nano has never seen")
    questions = ("What colour is the car?", "Is there a dog in the picture?")
    answers = [ask(assistant, board, q, images=[picture], tokens=16) for q in questions]
    return {"answers": [answer["answer"] for answer in answers]}


def watch(assistant: Assistant, board: Board) -> dict[str, Any]:
    """A question about a film."""
    film = board.show(_demo(assistant, "film.mp4"), "a film of three seconds")
    answer = ask(assistant, board, "What came after the dog?", video=[film], tokens=16)
    return {"answer": answer["answer"]}


def paint(assistant: Assistant, board: Board, prompt: str) -> dict[str, Any]:
    """A picture from words."""
    board.you(prompt)
    (picture,) = assistant.paint(prompt, **PAINTING)
    board.made(picture.image, prompt)
    return {"prompt": prompt, "width": picture.width, "height": picture.height}


def change(assistant: Assistant, board: Board) -> dict[str, Any]:
    """A picture changed by words."""
    source = board.show(_demo(assistant, "picture.png"), "before")
    instruction = "make the car green"
    board.you(instruction)
    (picture,) = assistant.edit(source, instruction, **PAINTING)
    board.made(picture.image, "after")
    return {"instruction": instruction}


def find(assistant: Assistant, board: Board) -> dict[str, Any]:
    """A mask read from an edit."""
    source = _demo(assistant, "picture.png")
    board.you("the car")
    found = assistant.segment(source, "the car", **PAINTING)
    board.made(found.mask, "the mask")
    board.made(found.overlay, f"laid over the picture, confidence {found.confidence:.2f}")
    return {"confidence": found.confidence, "area": found.area}


def speak(assistant: Assistant, board: Board) -> dict[str, Any]:
    """One sentence in two voices."""
    board.you(HELLO)
    voices = [assistant.speech.voice(name) for name in assistant.speech.voices.presets]
    voices = voices[:VOICES] or [assistant.speech.voice(None)]
    seconds = 0.0
    start = time.perf_counter()
    for voice in voices:
        seconds += board.speech(assistant.speak(HELLO, voice=voice), f"voice {voice.name}")
    factor = (time.perf_counter() - start) / max(seconds, 1e-3)
    return {"voices": [voice.name for voice in voices], "real_time_factor": round(factor, 2)}


def converse(assistant: Assistant, board: Board) -> dict[str, Any]:
    """Three turns: a picture with a question, a spoken question, an edit."""
    picture = board.show(_demo(assistant, "picture.png"), "first turn: a picture")
    question = "What is the background?"
    board.you(question)
    first = assistant.chat(question, images=[picture], max_new_tokens=16).text
    board.model(first)
    recording = board.show(_demo(assistant, "question.flac"), "second turn: a spoken question")
    asked = assistant.transcribe(recording).text
    board.model(f"(heard: {asked})")
    history = [
        Message(role="user", parts=(Image(source=picture), Text(text=question))),
        Message(role="assistant", parts=(Text(text=first),)),
    ]
    second = assistant.chat("", audio=[recording], history=history, max_new_tokens=16).text
    board.model(second)
    board.you("make the car purple")
    (edited,) = assistant.edit(picture, "make the car purple", **PAINTING)
    board.made(edited.image, "third turn: the answer is a picture")
    return {"answers": [first, asked, second]}


def _demo(assistant: Assistant, name: str) -> Path:
    path = assistant.folder.folder / MEDIA / name
    if not path.is_file():
        raise InputError(f"the tour's {name} is not in {path.parent}; install Mingle again")
    return path


SCENES = (
    Scene(
        name="question",
        title="A question",
        play=partial(ask, question="What is the capital of France?"),
    ),
    Scene(
        name="prose",
        title="A little prose",
        play=partial(ask, question="Write two sentences about the sea at night.", tokens=80),
    ),
    Scene(
        name="transcribe",
        title="A real recording, written down",
        play=write_down,
        parts=("audio",),
    ),
    Scene(
        name="picture",
        title="Questions about a picture",
        play=look,
        parts=("vision",),
    ),
    Scene(
        name="film",
        title="A question about a film",
        play=watch,
        parts=("vision",),
    ),
    Scene(
        name="paint",
        title="A picture from words",
        play=partial(paint, prompt="a red apple left of a blue book on a sand background"),
        parts=("painter",),
    ),
    Scene(
        name="lettering",
        title="A picture with a word in it",
        play=partial(paint, prompt='the text "HELLO" on a white background'),
        parts=("painter",),
    ),
    Scene(
        name="edit",
        title="A picture changed by words",
        play=change,
        parts=("painter",),
    ),
    Scene(
        name="segment",
        title="A mask of what you name",
        play=find,
        parts=("painter",),
    ),
    Scene(
        name="speak",
        title="One sentence in two voices",
        play=speak,
        parts=("talker",),
    ),
    Scene(
        name="talk",
        title="Three turns: a picture, a spoken question, an edit",
        play=converse,
        parts=("vision", "audio", "painter"),
    ),
)
"""The tour, in order. A new ability is a function and a line here."""
