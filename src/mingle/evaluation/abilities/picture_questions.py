"""Questions about pictures of unseen combinations, answered in a word or two."""

from pathlib import Path

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.asked import (
    ask_all,
    figure_of,
    figures_of,
    held_out,
    outcomes,
    same,
)
from mingle.evaluation.abilities.figure import Ability, Effort, Figure
from mingle.messages import Image
from mingle.worlds.talk import Conversation, about_picture, several_about_picture

COUNT = 400
LATER = 60


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """The share of right answers, by kind of question; and of questions asked in later turns."""
    asked = held_out(about_picture, effort.of(COUNT))
    rights, said = outcomes(assistant, asked)
    if (folder := effort.folder(ABILITY.name)) is not None:
        write_samples(folder, asked[:24], said)
    figures = figures_of(rights, bar=0.80, goal=0.95)
    return [*figures, _later(assistant, effort)]


def write_samples(folder: Path, asked: list[Conversation], said: list[str]) -> None:
    """Each picture, and a list of what was asked, answered and right."""
    from PIL import Image as Pillow

    lines: list[str] = []
    for number, (one, answer) in enumerate(zip(asked, said, strict=False)):
        words, picture = one.messages[0].parts
        assert isinstance(picture, Image)
        Pillow.fromarray(picture.source).resize((256, 256)).save(folder / f"{number:02}.png")
        text = getattr(words, "text", "")
        lines.append(f"{number:02}.png\t{text}\tsaid: {answer}\tright: {one.answers[0]}")
    (folder / "answers.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _later(assistant: Assistant, effort: Effort) -> Figure:
    """The second and third question about a picture that was shown with the first."""
    talks = held_out(several_about_picture, effort.of(LATER))
    cases = [(talk, turn) for talk in talks for turn in (1, 2)]
    said = ask_all(assistant, [talk.messages[: 2 * turn + 1] for talk, turn in cases])
    right = [
        same(answer, talk.answers[turn]) for (talk, turn), answer in zip(cases, said, strict=True)
    ]
    return figure_of("in later turns", right)


ABILITY = Ability(
    name="picture_questions",
    title="Questions about pictures",
    parts=("thinker", "vision"),
    data=(
        "400 questions of seven kinds on pictures of 1 to 5 things with an unseen combination; "
        "60 conversations of three questions; compared without case, articles and end marks"
    ),
    measure=measure,
)
