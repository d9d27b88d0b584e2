"""What nano can do, measured on held-out data: one module an ability, listed here."""

from mingle.evaluation.abilities import (
    balance,
    context,
    edits,
    film_questions,
    lettering,
    picture_questions,
    pictures,
    recognition,
    segmentation,
    speech,
    spoken_questions,
    text,
    voices,
)
from mingle.evaluation.abilities.figure import Ability, Effort, Figure

ABILITIES: tuple[Ability, ...] = (
    text.ABILITY,
    picture_questions.ABILITY,
    film_questions.ABILITY,
    spoken_questions.ABILITY,
    pictures.ABILITY,
    lettering.ABILITY,
    edits.ABILITY,
    segmentation.ABILITY,
    balance.ABILITY,
    recognition.ABILITY,
    context.ABILITY,
    speech.ABILITY,
    voices.ABILITY,
)

__all__ = ["ABILITIES", "Ability", "Effort", "Figure"]
