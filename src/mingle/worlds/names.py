"""Sentences with rare names: what a recogniser cannot know without being told."""

from dataclasses import dataclass

import numpy as np

NAMES = tuple(
    """Abernathy Adeyemi Almendra Andrassy Ashworth Balthazar Bannister Belmonte Bergamo Birkenhead
    Boscombe Brannigan Calderon Castellan Chidozie Cornwallis Danforth Delacroix Dimitrov Drummond
    Eriksen Esterhazy Fairbanks Ferrante Fitzgerald Galbraith Gallagher Goldberg Hallstrom
    Hargreaves Hawthorne Ibarra Iverson Jablonski Kawasaki Kilpatrick Kowalski Lindqvist Lombardi
    Macallan Marchetti Mendelson Montenegro Nakamura Novotny Okonkwo Ottavio Pemberton Petrosyan
    Quintana Ramanujan Rosenthal Salvatore Sandoval Takahashi Thackeray Valdemar Vandermeer
    Winterbottom Yamamoto Zamora Zelenka""".split()
)
CARRIERS = (
    "please connect me with {name}",
    "{name} called about the invoice this morning",
    "I would like to speak to doctor {name}",
    "is {name} in the office today",
    "send the report to {name} before lunch",
    "the meeting with {name} was moved to friday",
    "you have one new message from {name}",
    "my name is {name} and I have a question",
    "tell {name} that the train is late",
    "the parcel for {name} is at the front desk",
)


@dataclass(frozen=True, kw_only=True)
class NamedSentence:
    """A sentence, the rare name in it, and as many other names as distractors are wanted."""

    text: str
    name: str
    others: tuple[str, ...]


def sample_named(rng: np.random.Generator, distractors: int) -> NamedSentence:
    """One sentence with one name; the distractors are other rare names."""
    picked = [NAMES[i] for i in rng.choice(len(NAMES), size=distractors + 1, replace=False)]
    carrier = CARRIERS[rng.integers(len(CARRIERS))]
    return NamedSentence(
        text=carrier.format(name=picked[0]), name=picked[0], others=tuple(picked[1:])
    )
