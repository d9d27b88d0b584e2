"""The mixture of pictures that the image autoencoder and the judges see: all the brush may draw."""

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from mingle.worlds.arrangement import arrange
from mingle.worlds.edits import sample_edit, sample_segmentation
from mingle.worlds.scenes import BACKGROUNDS, FONTS, Lettering, Scene, draw, sample_scene
from mingle.worlds.sentences import LETTERS, wordnet_examples
from mingle.worlds.split import Split, is_held_out
from mingle.worlds.sprites import COLOURS


def sample_picture(
    rng: np.random.Generator, *, side: int, split: Split
) -> UInt8[np.ndarray, "side side 3"]:
    """Scenes of 1 to 5 things (50 %), with words (30 %), edited (10 %) or painted over (10 %).

    Much of what may be arranged is: 8 in 10 of the words, 4 in 10 of the scenes.
    """
    kind = rng.random()
    if kind < 0.1:
        return sample_edit(rng, side=side, split=split).after
    if kind < 0.2:
        return sample_segmentation(rng, side=side, split=split).after
    if lettered := kind < 0.5:
        scene = sample_lettered_scene(rng, split=split)
    else:
        scene = sample_scene(rng, num_things=int(rng.integers(1, 6)), split=split)
    if len(scene.things) < 5 and rng.random() < (0.8 if lettered else 0.4):
        scene = arrange(scene)
    return draw(scene, side).pixels


def sample_lettered_scene(rng: np.random.Generator, *, split: Split) -> Scene:
    """A word of 3 to 8 letters, alone or above one thing; held out by the word."""
    word = sample_word(rng, split)
    if rng.random() < 0.5:
        background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
        return letter(rng, word, Scene(things=(), background=background))
    return letter(rng, word, sample_scene(rng, num_things=1, split=split))


def letter(rng: np.random.Generator, word: str, scene: Scene) -> Scene:
    """Write a word into a scene of no thing or one, in any font, colour and size."""
    colours = list(COLOURS)
    colour = colours[rng.integers(len(colours))]
    size = float(rng.uniform(0.9, 1.1) * min(0.3, 1.25 / len(word)))
    y = 0.18 if scene.things else float(rng.uniform(0.2, 0.8))
    font = FONTS[rng.integers(len(FONTS))]
    lettering = Lettering(text=word, font=font, colour=colour, y=y, size=size)
    below = tuple(replace(thing, y=0.68, size=min(thing.size, 0.6)) for thing in scene.things)
    return replace(scene, things=below, lettering=lettering)


def sample_word(rng: np.random.Generator, split: Split) -> str:
    """A word of 3 to 8 capitals: one of WordNet's examples, or letters by chance (30 %)."""
    examples = wordnet_examples()
    while True:
        if rng.random() < 0.3:
            length = int(rng.integers(3, 9))
            word = "".join(LETTERS[rng.integers(26)] for _ in range(length))
        else:
            words = examples[rng.integers(len(examples))].split()
            word = words[rng.integers(len(words))].strip(",;:.!?'").lower()
        if (
            3 <= len(word) <= 8
            and word.isalpha()
            and is_held_out("word", word) == (split == "held_out")
        ):
            return word.upper()
