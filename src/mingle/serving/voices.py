"""/v1/audio/voices: list, add, delete."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, UploadFile
from pydantic import Field

from mingle.errors import InputError
from mingle.serving.chat_schema import MULTIPART, Wire
from mingle.serving.house import House
from mingle.serving.shelf import Added, now


class VoiceForm(Wire):
    """A voice to add. `consent` says how the speaker agreed to be imitated."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    consent: Annotated[str, Field(min_length=1, max_length=2000)]
    audio_sample: UploadFile
    ref_text: Annotated[str, Field(max_length=4000)] | None = None
    speaker_description: Annotated[str, Field(max_length=2000)] = ""


def voice_routes(house: House) -> APIRouter:
    """The routes of voices."""
    router = APIRouter(tags=["audio"])

    @router.get("/v1/audio/voices")
    async def voices() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """All voices; `data` tells of each, `voices` are their names."""
        shelf = house.shelf
        presets = [{**_head(name), "preset": True} for name in shelf.presets]
        added = [_told(voice) for voice in shelf.added.values()]
        names = [*shelf.presets, *shelf.added]
        return {"object": "list", "data": [*presets, *added], "voices": names}

    @router.post("/v1/audio/voices")
    async def add(form: Annotated[VoiceForm, MULTIPART]) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Add a voice from a recording of 1 to 60 s in which only this person speaks."""
        house.require_cloning()
        if not form.consent.strip():
            raise InputError("consent is empty; say how the speaker agreed to be imitated")
        sound = await house.decoders.listen(await form.audio_sample.read())
        told = Added(
            name=form.name,
            consent=form.consent,
            ref_text=form.ref_text or None,
            description=form.speaker_description,
            created_at=now(),
        )
        await asyncio.to_thread(house.shelf.add, told, sound)
        return _told(told)

    @router.delete("/v1/audio/voices/{name}")
    async def remove(name: str) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Delete an added voice and its recording."""
        await asyncio.to_thread(house.shelf.remove, name)
        return {"id": name, "object": "voice.deleted", "deleted": True}

    return router


def _head(name: str) -> dict[str, Any]:
    return {"id": name, "object": "voice", "name": name}


def _told(voice: Added) -> dict[str, Any]:
    return {
        **_head(voice.name),
        "preset": False,
        "consent": voice.consent,
        "ref_text": voice.ref_text,
        "speaker_description": voice.description,
        "created_at": voice.created_at,
    }
