"""Words in pictures: unseen words of 3 to 8 letters, read back by Tesseract."""

import io
import shutil
import subprocess

import numpy as np
import PIL.Image

from mingle.engine.assistant import Assistant
from mingle.errors import CapacityError
from mingle.evaluation.abilities.figure import Ability, Effort, Figure, mean, share
from mingle.evaluation.abilities.gallery import Card, write_sheet
from mingle.processing.words import word_errors
from mingle.worlds.lessons import Plan, draw_plan, sample_plan

COUNT = 32
SCALE = 4  # letters of 20 to 80 pixels, as Tesseract wants them
SIDE = 64


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """The share of words read exactly, and the share of wrong letters; of real pictures, too."""
    rng = np.random.default_rng(20261127)
    plans = [sample_plan(rng, "words", split="held_out") for _ in range(effort.of(COUNT))]
    words = [_word(plan) for plan in plans]
    painted = [
        assistant.paint(plan.text, seed=seed)[0].image for seed, plan in enumerate(plans)
    ]  # fmt: skip
    drawn = [PIL.Image.fromarray(draw_plan(rng, plan, SIDE).pixels) for plan in plans]
    read, real = [read_word(p) for p in painted], [read_word(p) for p in drawn]
    if (folder := effort.folder(ABILITY.name)) is not None:
        cards = [
            Card(pictures=[p], asked=plan.text, said=found or "nothing", right=found == word)
            for p, plan, found, word in zip(painted, plans, read, words, strict=True)
        ]
        write_sheet(folder / "words.png", cards)
    wrong = [word_errors([list(w)], [list(f)]).rate for w, f in zip(words, read, strict=True)]
    value, low, high = mean(wrong)
    return [
        _exact("words read exactly", words, read, bar=0.40, goal=0.80),
        Figure(
            name="wrong letters", value=value, low=low, high=high, count=len(wrong), better="lower"
        ),
        _exact("words read exactly on real pictures", words, real),
    ]


def read_word(picture: PIL.Image.Image) -> str:
    """The longest run of capitals that Tesseract reads in a picture; "" if none.

    Raises CapacityError when Tesseract is not installed.
    """
    if shutil.which("tesseract") is None:
        raise CapacityError(
            "reading words in pictures needs Tesseract; install Debian's tesseract-ocr"
        )
    large = picture.convert("RGB")
    large = large.resize((large.width * SCALE, large.height * SCALE), PIL.Image.Resampling.BICUBIC)
    data = io.BytesIO()
    large.save(data, "PNG")
    said = subprocess.run(
        [
            "tesseract",
            "stdin",
            "stdout",
            "--psm",
            "11",
            "-c",
            f"tessedit_char_whitelist={CAPITALS}",
        ],
        input=data.getvalue(),
        capture_output=True,
        check=True,
    )
    return max(said.stdout.decode().split(), key=len, default="")


CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _word(plan: Plan) -> str:
    assert plan.target.lettering is not None
    return plan.target.lettering.text


def _exact(
    name: str,
    words: list[str],
    read: list[str],
    bar: float | None = None,
    goal: float | None = None,
) -> Figure:
    outcomes = [word == found for word, found in zip(words, read, strict=True)]
    value, low, high = share(outcomes)
    return Figure(
        name=name, value=value, low=low, high=high, count=len(outcomes), better="higher",
        bar=bar, goal=goal,
    )  # fmt: skip


ABILITY = Ability(
    name="lettering",
    title="Words in pictures",
    parts=("thinker", "painter"),
    data="32 unseen words of 3 to 8 letters, alone or with one thing; read by Tesseract at 4 x",
    measure=measure,
)
