"""Spoken questions about pictures and films, by voices that no training heard."""

from mingle.engine.assistant import Assistant
from mingle.evaluation.abilities.asked import figure_of, figures_of, held_out, outcomes
from mingle.evaluation.abilities.figure import Ability, Effort, Figure
from mingle.worlds.talk import going_on_by_voice, spoken_about_film, spoken_about_picture

COUNT, FEWER = 120, 60
OTHERS = (("in a second turn", going_on_by_voice), ("about films", spoken_about_film))


def measure(assistant: Assistant, effort: Effort) -> list[Figure]:
    """The share of right answers about pictures, by kind of question; in second turns; about
    films."""
    asked = held_out(spoken_about_picture, effort.of(COUNT))
    figures = figures_of(outcomes(assistant, asked)[0], bar=None, goal=None)
    for name, draw in OTHERS:
        rights, _ = outcomes(assistant, held_out(draw, effort.of(FEWER)))
        figures.append(figure_of(name, [right for _, right in rights]))
    return figures


ABILITY = Ability(
    name="spoken_questions",
    title="Spoken questions about pictures and films",
    parts=("thinker", "vision", "audio"),
    data=(
        "120 questions about pictures of 1 to 5 things, 60 second turns and 60 films with an "
        "unseen combination, asked in random rooms by four synthetic voices that no training heard"
    ),
    measure=measure,
)
