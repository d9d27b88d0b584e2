"""A server offers what its model has, and refuses the rest with a reason and a stated status."""

import asyncio
import base64

import httpx
import pytest
from live_client import Socket, talk
from miniature import write_miniature
from served import served

import mingle

PNG = "data:image/png;base64,"


def asks(png: bytes, wav: bytes):
    """(part, what it is for, how to ask) of everything that needs a part beside the thinker."""
    picture = {"url": PNG + base64.b64encode(png).decode()}
    sound = {"data": base64.b64encode(wav).decode(), "format": "wav"}

    def chat(content, **options):
        messages = [{"role": "user", "content": content}]
        return "chat/completions", {"json": {"messages": messages, "max_tokens": 2, **options}}

    quick = {"prompt": "a cat", "num_inference_steps": 1}
    return (
        ("vision", "see", *chat([{"type": "image_url", "image_url": picture}])),
        ("audio", "hear", *chat([{"type": "input_audio", "input_audio": sound}])),
        ("talker", "speak", *chat("hi", modalities=["text", "audio"])),
        ("painter", "paint", *chat("hi", modalities=["image"], size="48x32")),
        ("audio", "hear", "audio/transcriptions", {"files": {"file": wav}}),
        ("talker", "speak", "audio/speech", {"json": {"input": "Hi"}}),
        ("painter", "paint", "images/generations", {"json": {**quick, "size": "48x32"}}),
        ("painter", "edit pictures", "images/edits", {"data": quick, "files": {"image": png}}),
        ("painter", "segment", "images/segmentations", {"data": quick, "files": {"image": png}}),
        ("talker", "speak", "audio/voices",
         {"data": {"name": "Ada", "consent": "yes"}, "files": {"audio_sample": wav}}),
    )  # fmt: skip


def refused(place, png, wav) -> list[str]:
    """Ask for everything; the paths that were refused for a part that the model lacks."""
    paths = []
    for part, what, path, how in asks(png, wav):
        answer = httpx.post(f"{place.url}/v1/{path}", timeout=120, **how)
        if part in place.house.parts:
            assert answer.status_code == 200 or path == "audio/voices", answer.text
            continue
        assert answer.status_code == 400, (path, answer.text)
        error = answer.json()["error"]
        assert (error["code"], error["type"]) == ("unsupported", "invalid_request_error")
        name = place.house.settings.name
        assert f"{name} has no {part}, so it cannot {what}" in error["message"]
        paths.append(path)
    return paths


SENSES = ("thinker", "vision", "audio")


@pytest.fixture(scope="module", params=[SENSES, (*SENSES, "talker"), (*SENSES, "painter")])
def partial(request, tmp_path_factory):
    folder = write_miniature(tmp_path_factory.mktemp("partial") / "model", request.param)
    with served(mingle.load(str(folder))) as place:
        assert place.house.parts == request.param
        yield place


def test_what_a_model_lacks_is_refused_by_name(partial, png, wav):
    assert len(refused(partial, png, wav)) >= 3
    listed = httpx.get(f"{partial.url}/v1/models").json()["data"][0]["parts"]
    assert tuple(listed) == partial.house.parts
    voices = httpx.get(f"{partial.url}/v1/audio/voices").json()["voices"]
    assert voices == (["default"] if "talker" in listed else [])


def test_a_live_conversation_says_what_it_cannot_do(partial):
    asyncio.run(say_what_it_lacks(partial))


async def say_what_it_lacks(place):
    """Ask a live conversation for everything; then it answers in words."""
    has = place.house.parts
    async with Socket(place) as socket:
        created = await socket.until("session.created")
        spoken = ["audio" if "talker" in has else "text"]
        assert created["session"]["output_modalities"] == spoken
        if "talker" not in has:
            await socket.send("session.update", session={"output_modalities": ["audio"]})
            await refusal(socket, "has no talker, so it cannot speak")
        if "audio" not in has:
            await socket.hear(talk(0.1))
            await refusal(socket, "has no audio, so it cannot hear")
        if "vision" not in has:
            content = [{"type": "input_image", "image_url": PNG}]
            item = {"type": "message", "role": "user", "content": content}
            await socket.send("conversation.item.create", item=item)
            await refusal(socket, "has no vision, so it cannot see")
        wish = {"output_modalities": ["text"], "max_output_tokens": 3}
        await socket.send("session.update", session=wish)
        await socket.say("hello")
        done = await socket.until("response.done")
        assert done["response"]["status"] in ("completed", "incomplete")


async def refusal(socket, words):
    error = (await socket.until("error"))["error"]
    assert words in error["message"]
    assert error["code"] == "unsupported"
