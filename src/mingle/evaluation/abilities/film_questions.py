"""Questions about short films of unseen combinations, answered in a word or two."""

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.asked import figures_of, held_out, outcomes
from mingle.evaluation.abilities.figure import Ability, Effort, Figure
from mingle.worlds.talk import about_film

COUNT = 200


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """The share of right answers, by kind of question."""
    asked = held_out(about_film, effort.of(COUNT))
    return figures_of(outcomes(assistant, asked)[0], bar=0.70, goal=0.85)


ABILITY = Ability(
    name="film_questions",
    title="Questions about films",
    parts=("thinker", "vision"),
    data=(
        "200 questions of nine kinds on films of 3 or 4 seconds with an unseen combination; "
        "compared without case, articles and end marks"
    ),
    measure=measure,
)
