"""A chat answered with a picture: painted from the last words, or an edit of the last pictures."""

import secrets
import time
from typing import Any

from mingle.engine.paint import PaintOptions
from mingle.errors import InputError
from mingle.messages import Image, Message, Picture, Text
from mingle.painter.denoise import OnStep
from mingle.serving.chat_schema import ChatRequest
from mingle.serving.faults import UnsupportedError
from mingle.serving.house import House
from mingle.serving.parts import messages_of
from mingle.serving.pictures import base64_picture, shape_of, size_of


async def painted_answer(house: House, asked: ChatRequest) -> dict[str, Any]:
    """The whole answer; pictures stand in `images`, as data: URLs."""
    house.require("painter", "paint")
    if asked.stream:
        raise UnsupportedError("a painted answer is not streamed; set stream to false")
    turns = await messages_of(asked.messages, house.settings.media)
    words, sources = _last_wish(turns)
    originals = [await house.decoders.picture(source) for source in sources]
    options: dict[str, Any] = {"size": size_of(asked.size), "seed": asked.seed, "count": asked.n}
    await house.afford(PaintOptions(**options), shape_of(originals[0]) if originals else None)

    def make(on_step: OnStep) -> list[Picture]:
        if originals:
            return house.assistant.edit(originals, words, on_step=on_step, **options)
        return house.assistant.paint(words, on_step=on_step, **options)

    painted = await house.paint(make)
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": house.settings.name,
        "choices": [_choice(number, picture) for number, picture in enumerate(painted)],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def _last_wish(turns: tuple[Message, ...]) -> tuple[str, list[bytes]]:
    """The words and the pictures of the last turn."""
    if not turns or turns[-1].role != "user":
        raise InputError("the conversation must end with the user, who says what to paint")
    parts = turns[-1].parts
    words = " ".join(part.text for part in parts if isinstance(part, Text))
    pictures = [part.source for part in parts if isinstance(part, Image)]
    if len(pictures) < sum(not isinstance(part, Text) for part in parts):
        raise InputError("only words and pictures can say what to paint")
    return words, pictures


def _choice(number: int, picture: Picture) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64_picture(picture.image)}"
    image = {"type": "image_url", "image_url": {"url": url}, "seed": picture.seed}
    message = {"role": "assistant", "content": "", "refusal": None, "images": [image]}
    return {"index": number, "message": message, "logprobs": None, "finish_reason": "stop"}
