"""The talk world: short conversations about pictures, films and sound, typed or spoken.

Every answer is exact, most are short. `CONVERSATIONS` are the kinds that training mixes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mingle.messages import Audio, Image, Message, Part, Text, Video, user
from mingle.worlds.film_questions import sample_film_question
from mingle.worlds.films import FRAMES_PER_SECOND, draw_film, sample_film
from mingle.worlds.questions import QUESTIONS, Question, sample_question
from mingle.worlds.rooms import distort
from mingle.worlds.scenes import Scene, article, draw, sample_scene
from mingle.worlds.sentences import normalise, sample_sentence
from mingle.worlds.split import Split
from mingle.worlds.sprites import COLOURS
from mingle.worlds.voices import FLITE, SAMPLE_RATE, UNHEARD, VOICES, Voice, synthesise

SIDE = 64  # pixels
MOST = 5  # things in a picture
WRITE_DOWN = "Write down what is said."
VOICES_OF: dict[Split, tuple[tuple[Voice, ...], ...]] = {
    "train": (FLITE, tuple(v for v in VOICES if v not in (*FLITE, *UNHEARD))),
    "held_out": (UNHEARD,),
}


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """Turns that end with the assistant's; `kinds` names what each of its answers is about."""

    messages: tuple[Message, ...]
    kinds: tuple[str, ...]

    @property
    def answers(self) -> tuple[str, ...]:
        """The right answers, in order."""
        turns = [message for message in self.messages if message.role == "assistant"]
        return tuple(part.text for m in turns for part in m.parts if isinstance(part, Text))


def about_picture(rng: np.random.Generator, split: Split) -> Conversation:
    """One typed question about one picture of 1 to 5 things."""
    scene = _scene(rng, split)
    asked = sample_question(rng, scene)
    return _one(asked, Text(text=asked.text), _picture(scene))


def about_places(rng: np.random.Generator, split: Split) -> Conversation:
    """One typed question where a thing stands, seen from another: few pictures can answer it."""
    while True:
        scene = _scene(rng, split)
        if (asked := QUESTIONS["where"](rng, scene)) is not None:
            text, answer = asked
            question = Question(kind="where", text=text, answer=answer)
            return _one(question, Text(text=text), _picture(scene))


def about_film(rng: np.random.Generator, split: Split) -> Conversation:
    """One typed question about one film of 3 or 4 seconds."""
    asked, video = _film(rng, split)
    return _one(asked, Text(text=asked.text), video)


def spoken_about_film(rng: np.random.Generator, split: Split) -> Conversation:
    """One spoken question about one film."""
    asked, video = _film(rng, split)
    return _one(asked, _said(rng, asked.text, split), video)


def spoken_about_picture(rng: np.random.Generator, split: Split) -> Conversation:
    """One spoken question about one picture."""
    scene = _scene(rng, split)
    asked = sample_question(rng, scene)
    return _one(asked, _said(rng, asked.text, split), _picture(scene))


def several_about_picture(rng: np.random.Generator, split: Split) -> Conversation:
    """Three questions about one picture that is shown with the first."""
    return _turns(rng, split, spoken=(False, False, False))


def going_on_by_voice(rng: np.random.Generator, split: Split) -> Conversation:
    """A question about a picture, typed or spoken, then a spoken one."""
    return _turns(rng, split, spoken=(bool(rng.random() >= 0.5), True))


def wishing_paint(rng: np.random.Generator, split: Split) -> Conversation:
    """What is in the picture? a car - Now paint it blue. - a blue car: the words for the brush."""
    scene = sample_scene(rng, num_things=1, split=split)
    thing = scene.things[0]
    others = [colour for colour in COLOURS if colour != thing.colour]
    colour = others[rng.integers(len(others))]
    messages = (
        user("What is in the picture?", _picture(scene)),
        _answer(article(thing.kind)),
        user(f"Now paint it {colour}."),
        _answer(article(f"{colour} {thing.kind}")),
    )
    return Conversation(messages=messages, kinds=("what", "paint"))


def dictation(rng: np.random.Generator, split: Split) -> Conversation:
    """Write down what is said: a sentence in a random room."""
    sentence = sample_sentence(rng, split)
    asked = Question(kind="dictation", text=WRITE_DOWN, answer=normalise(sentence))
    return _one(asked, Text(text=asked.text), _said(rng, sentence, split))


CONVERSATIONS: dict[str, Callable[[np.random.Generator, Split], Conversation]] = {
    "pictures": about_picture,
    "places": about_places,
    "films": about_film,
    "spoken": spoken_about_picture,
    "several": several_about_picture,
    "going_on": going_on_by_voice,
    "spoken_film": spoken_about_film,
    "paint": wishing_paint,
    "dictation": dictation,
}


def _scene(rng: np.random.Generator, split: Split) -> Scene:
    things = int(rng.integers(1, MOST + 1))
    return sample_scene(rng, num_things=things, split=split, same_kind=bool(rng.random() < 0.15))


def _film(rng: np.random.Generator, split: Split) -> tuple[Question, Video]:
    film = sample_film(rng, split=split)
    asked = sample_film_question(rng, film)
    frames = list(draw_film(film, SIDE))
    return asked, Video(source=frames, frames_per_second=FRAMES_PER_SECOND)


def _picture(scene: Scene) -> Image:
    return Image(source=draw(scene, SIDE).pixels)


def _turns(rng: np.random.Generator, split: Split, spoken: tuple[bool, ...]) -> Conversation:
    """Questions about one picture that is shown with the first, each typed or `spoken`."""
    scene = _scene(rng, split)
    messages: list[Message] = []
    kinds: list[str] = []
    for turn, aloud in enumerate(spoken):
        asked = sample_question(rng, scene)
        shown = (_picture(scene),) if turn == 0 else ()
        question = _said(rng, asked.text, split) if aloud else Text(text=asked.text)
        messages += [user(question, *shown), _answer(asked.answer)]
        kinds.append(f"later {asked.kind}" if turn else asked.kind)
    return Conversation(messages=tuple(messages), kinds=tuple(kinds))


def _said(rng: np.random.Generator, text: str, split: Split) -> Audio:
    """Spoken in a random room, by a voice of the split: flite's as often as espeak-ng's."""
    voices = VOICES_OF[split][rng.integers(len(VOICES_OF[split]))]
    voice = voices[rng.integers(len(voices))]
    said = synthesise(text, voice, speed=float(rng.uniform(0.9, 1.1)))
    return Audio(source=(distort(rng, said.samples), SAMPLE_RATE))


def _one(asked: Question, *parts: Part) -> Conversation:
    return Conversation(messages=(user(*parts), _answer(asked.answer)), kinds=(asked.kind,))


def _answer(text: str) -> Message:
    return Message(role="assistant", parts=(Text(text=text),))
