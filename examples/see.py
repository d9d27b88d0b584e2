"""Ask about a picture and about a film."""

from pathlib import Path

import mingle

MEDIA = Path(__file__).parents[1] / "models" / "nano" / "demo"

with mingle.load("nano") as assistant:
    for question in ("What colour is the car?", "Is there a dog in the picture?"):
        reply = assistant.chat(question, images=[MEDIA / "picture.png"], max_new_tokens=16)
        print(question, reply.text)
    question = "What came after the dog?"
    reply = assistant.chat(question, video=[MEDIA / "film.mp4"], max_new_tokens=16)
    print(question, reply.text)
