"""Spoken questions about pictures of unseen combinations, by voices that no training heard."""

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.asked import figures_of, held_out, outcomes
from mingle.evaluation.abilities.figure import Ability, Effort, Figure
from mingle.worlds.talk import spoken_about_picture

COUNT = 120


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """The share of right answers, by kind of question."""
    asked = held_out(spoken_about_picture, effort.of(COUNT))
    return figures_of(outcomes(assistant, asked)[0], bar=None, goal=None)


ABILITY = Ability(
    name="spoken_questions",
    title="Spoken questions about pictures",
    parts=("thinker", "vision", "audio"),
    data=(
        "120 questions of seven kinds in random rooms, by four synthetic voices that no training "
        "heard, on pictures of 1 to 5 things with an unseen combination"
    ),
    measure=measure,
)
