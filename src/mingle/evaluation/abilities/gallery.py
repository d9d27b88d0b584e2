"""Sheets of pictures with captions, right and wrong ones marked, for people to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import PIL.Image

SIDE, LINE, COLUMNS = 128, 14, 6  # pixels
RIGHT, WRONG = (30, 130, 60), (190, 40, 40)


@dataclass(frozen=True, kw_only=True)
class Card:
    """Pictures that belong together, what was asked, what came out, and whether that is right."""

    pictures: "Sequence[PIL.Image.Image]"
    asked: str
    said: str
    right: bool


def write_sheet(path: Path, cards: Sequence[Card]) -> None:
    """Write the cards as one PNG, wrong ones first."""
    import PIL.Image
    from PIL import ImageDraw

    cards = sorted(cards, key=lambda card: card.right)
    wide = max((len(card.pictures) for card in cards), default=1)
    columns = max(1, COLUMNS // wide)
    width, height = wide * SIDE + 8, SIDE + 2 * LINE + 6
    rows = -(-len(cards) // columns)
    sheet = PIL.Image.new("RGB", (columns * width, rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for number, card in enumerate(cards):
        left, top = number % columns * width, number // columns * height
        for place, picture in enumerate(card.pictures):
            shown = picture.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.NEAREST)
            sheet.paste(shown, (left + place * SIDE, top))
        letters = width // 6
        pen.text((left, top + SIDE), card.asked[:letters], fill="black")
        colour = RIGHT if card.right else WRONG
        pen.text((left, top + SIDE + LINE), card.said[:letters], fill=colour)
    sheet.save(path)
