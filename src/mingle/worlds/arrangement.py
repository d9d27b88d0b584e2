"""How a small brush arranges what words leave open: few places, one font, letters on a grid.

Letters fit the latents of a picture of 64 pixels, 8 pixels each. Sizes and places of things were
chosen among eight ways, by how many of 600 pictures that the autoencoder gave back the judge
(`evaluation/judge.py`) read right.
"""

from dataclasses import replace

from mingle.worlds.scenes import FONTS, Lettering, Scene, Thing, relation

NEAR, MIDDLE, FAR = 14 / 64, 30 / 64, 50 / 64
LARGE, MEDIUM, SMALL = 0.6, 0.4, 0.3
CORNERS = ((NEAR, NEAR), (FAR, NEAR), (NEAR, FAR), (FAR, FAR))
LETTER = 8 / 64  # a letter's width
BELOW_WORD = 42 / 64


def arrange(scene: Scene) -> Scene:
    """The scene with its things at fixed places, no shade, and words in letters of one size.

    Two things stand side by side or one above the other, as they do in the scene. Raises ValueError
    for more than four things.
    """
    scene = replace(scene, gradient=False)
    if scene.lettering is not None:
        below = tuple(replace(t, x=MIDDLE, y=BELOW_WORD, size=MEDIUM) for t in scene.things)
        return replace(scene, things=below, lettering=_spelt(scene))
    return replace(scene, things=_placed(scene.things))


def _placed(things: tuple[Thing, ...]) -> tuple[Thing, ...]:
    match len(things):
        case 1:
            spots, size = ((MIDDLE, MIDDLE),), LARGE
        case 2:
            across, down = ((NEAR, MIDDLE), (FAR, MIDDLE)), ((MIDDLE, NEAR), (MIDDLE, FAR))
            where = relation(*things)
            spots, size = across if where in ("left of", "right of") else down, MEDIUM
            spots = spots[::-1] if where in ("right of", "below") else spots
        case 3 | 4:
            spots, size = CORNERS, SMALL
        case many:
            raise ValueError(f"{many} things, there are places for 1 to 4")
    return tuple(
        replace(thing, x=x, y=y, size=size) for thing, (x, y) in zip(things, spots, strict=False)
    )


def _spelt(scene: Scene) -> Lettering:
    assert scene.lettering is not None
    return Lettering(
        text=scene.lettering.text,
        font=FONTS[2],
        colour="yellow" if scene.background == "black" else "blue",
        y=8 / 64 if scene.things else 24 / 64,
        size=13 / 64,
        pitch=LETTER,
    )
