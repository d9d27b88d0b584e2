"""/v1/images: generations, edits, and segmentations (ours)."""

import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, UploadFile
from pydantic import Field

from mingle.engine.paint import PaintOptions
from mingle.errors import InputError
from mingle.messages import Picture
from mingle.painter.denoise import OnStep
from mingle.serving.chat_schema import MULTIPART, Wire
from mingle.serving.faults import UnsupportedError
from mingle.serving.flows import unless_gone
from mingle.serving.house import House
from mingle.serving.pictures import PictureFormat, base64_picture, shape_of, size_of

MAX_PICTURES = 10
Seed = Annotated[int, Field(ge=0, lt=2**63 - 64)]


class GenerationRequest(Wire):
    """What to paint. `text`: words to draw into the picture; null draws what the prompt quotes."""

    prompt: Annotated[str, Field(min_length=1, max_length=32_000)]
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=MAX_PICTURES)] | None = None
    size: str | None = None
    response_format: Literal["b64_json", "url"] | None = None
    output_format: PictureFormat | None = None
    stream: bool | None = None
    negative_prompt: str | None = None
    seed: Seed | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None
    text: str | None = None


class EditForm(Wire):
    """Pictures and how to change the first of them; either field name will do."""

    prompt: Annotated[str, Field(min_length=1, max_length=32_000)]
    image: list[UploadFile] | None = None
    images: Annotated[list[UploadFile] | None, Field(alias="image[]")] = None
    mask: UploadFile | None = None
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=MAX_PICTURES)] = 1
    size: str | None = None
    response_format: Literal["b64_json", "url"] = "b64_json"
    output_format: PictureFormat = "png"
    stream: bool = False
    seed: Seed | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None


class SegmentationForm(Wire):
    """A picture and the name of what to find in it. `colour`: what the model paints it with."""

    image: UploadFile
    prompt: Annotated[str, Field(min_length=1, max_length=2000)]
    model: str | None = None
    colour: Annotated[str, Field(max_length=40)] | None = None
    seed: Seed | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=100)] | None = None


def image_routes(house: House) -> APIRouter:
    """The routes of pictures."""
    router = APIRouter(tags=["images"], prefix="/v1/images")
    _add_generations(router, house)
    _add_edits(router, house)
    _add_segmentations(router, house)
    return router


def _add_generations(router: APIRouter, house: House) -> None:

    @router.post("/generations")
    async def generate(asked: GenerationRequest, request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        """Paint pictures from words."""
        house.knows(asked.model)
        house.require("painter", "paint")
        if asked.stream:
            raise UnsupportedError("pictures are not streamed; set stream to false")
        if asked.negative_prompt:
            raise UnsupportedError("negative_prompt is not supported; say what is to be there")
        options = _options(
            size=size_of(asked.size),
            count=asked.n,
            seed=asked.seed,
            steps=asked.num_inference_steps,
            guidance=asked.guidance_scale,
            text=asked.text,
        )
        await house.afford(PaintOptions(**options))

        def make(on_step: OnStep) -> list[Picture]:
            return house.assistant.paint(asked.prompt, on_step=on_step, **options)

        painted = await unless_gone(request, house.paint(make))
        return _told(painted, asked.output_format or "png", asked.response_format or "b64_json")


def _add_edits(router: APIRouter, house: House) -> None:
    @router.post("/edits")
    async def edit(  # pyright: ignore[reportUnusedFunction]
        form: Annotated[EditForm, MULTIPART], request: Request
    ) -> dict[str, Any]:
        """Change a picture by words; further pictures are what the words may refer to."""
        house.knows(form.model)
        house.require("painter", "edit pictures")
        if form.mask is not None:
            raise UnsupportedError("mask is not supported; say in words where to change what")
        if form.stream:
            raise UnsupportedError("pictures are not streamed; set stream to false")
        uploads = [*(form.image or ()), *(form.images or ())]
        if not uploads:
            raise InputError("image: there is no picture to edit; send one")
        originals = [await house.decoders.picture(await one.read()) for one in uploads]
        options = _options(
            size=size_of(form.size),
            count=form.n,
            seed=form.seed,
            steps=form.num_inference_steps,
            guidance=form.guidance_scale,
        )
        await house.afford(PaintOptions(**options), shape_of(originals[0]))

        def make(on_step: OnStep) -> list[Picture]:
            return house.assistant.edit(originals, form.prompt, on_step=on_step, **options)

        painted = await unless_gone(request, house.paint(make))
        return _told(painted, form.output_format, form.response_format)


def _add_segmentations(router: APIRouter, house: House) -> None:
    @router.post("/segmentations")
    async def segment(  # pyright: ignore[reportUnusedFunction]
        form: Annotated[SegmentationForm, MULTIPART], request: Request
    ) -> dict[str, Any]:
        """The mask of what the prompt names (an extension of ours)."""
        house.knows(form.model)
        house.require("painter", "segment")
        original = await house.decoders.picture(await form.image.read())
        options = _options(
            seed=form.seed, steps=form.num_inference_steps, guidance=form.guidance_scale
        )
        await house.afford(PaintOptions(**options), shape_of(original))
        found = await unless_gone(
            request,
            house.paint(
                lambda on_step: house.assistant.segment(
                    original, form.prompt, colour=form.colour, on_step=on_step, **options
                )
            ),
        )
        told = {
            "label": found.label,
            "mask": base64_picture(found.mask),
            "overlay": base64_picture(found.overlay),
            "confidence": float(found.confidence),
            "area": found.area,
            "bbox": found.bbox,
            "rle": found.rle,
            "polygons": found.polygons,
            "seed": found.seed,
        }
        return {"created": int(time.time()), "data": [told]}


def _options(**wishes: Any) -> dict[str, Any]:
    """Wishes that were uttered; the rest is what suits the model."""
    return {name: value for name, value in wishes.items() if value is not None}


def _told(painted: Sequence[Picture], form: PictureFormat, how: str) -> dict[str, Any]:
    data: list[dict[str, Any]] = []
    for picture in painted:
        content = base64_picture(picture.image, form)
        named = {"b64_json": content, "url": f"data:image/{form};base64,{content}"}
        data.append({how: named[how], "seed": picture.seed})
    size = f"{painted[0].width}x{painted[0].height}"
    return {"created": int(time.time()), "data": data, "output_format": form, "size": size}
