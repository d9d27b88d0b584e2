"""Paint from words, edit by words, and find what a phrase names."""

import mingle

with mingle.load("nano") as assistant:
    (picture,) = assistant.paint("a red apple left of a blue book", seed=1)
    picture.image.save("painted.png")
    (edited,) = assistant.edit("painted.png", "make the apple green", seed=1)
    edited.image.save("edited.png")
    found = assistant.segment("painted.png", "the apple", seed=1)
    found.mask.save("mask.png")
    print(f"the apple covers {found.area} pixels, confidence {found.confidence:.2f}")
