"""Pictures out: paint from words, edit by words; one thinker pass, then the denoise loop."""

import logging
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mingle.encoders.vision import VisionEncoder
from mingle.engine import canvas
from mingle.errors import CapacityError, InputError
from mingle.messages import Image, MediaSource, Picture, Request, user
from mingle.model import OmniModel, look_at
from mingle.nn.attention import Packed
from mingle.painter.denoise import Aim, OnStep, denoise, noise
from mingle.painter.glyphs import glyph_text, has_open_quote, in_capitals, quoted
from mingle.painter.model import Painter, Tokens
from mingle.painter.schedule import Spacing, noise_levels
from mingle.painter.sizes import Size, canvas_for, paintable
from mingle.processing.image import Layers, decode_layers, prepare_picture
from mingle.processing.inputs import Processor
from mingle.processing.queries import append_queries

if TYPE_CHECKING:
    import PIL.Image

log = logging.getLogger(__name__)

MAX_STEPS, MAX_COUNT, MAX_GUIDANCE = 1000, 64, 100.0
SEEDS = 2**32  # drawn ones; given ones may be larger
MAX_SEED = 2**63 - MAX_COUNT


@dataclass(frozen=True, kw_only=True)
class PaintOptions:
    """How to paint. `size` is (height, width), None what suits; `seed` None draws one.

    `resolution`: the side of the square with as many pixels as are painted where `size` does not
    say (paint) or in any case (edit); the nearest trained one is taken, None is the model's usual.
    Picture k of `count` has the seed `seed + k` and can be made again alone; `at_once` of them
    share a batch. `text` is what to draw as text: None takes what the prompt quotes, "" nothing.
    `guidance` 0 is off, 2 is what textbooks call 3. `spacing`: see schedule.noise_levels. `keep`:
    places that an edit did not change keep the original's pixels.
    """

    size: Size | None = None
    resolution: int | None = None
    steps: int = 30
    guidance: float = 2.0
    seed: int | None = None
    count: int = 1
    at_once: int = 1
    text: str | None = None
    spacing: Spacing = "useful"
    keep: bool = True

    def checked(self) -> "PaintOptions":
        """The same options with a seed. Raises InputError for values out of range."""
        ranges = {
            "steps": (self.steps, 1, MAX_STEPS),
            "guidance": (self.guidance, 0, MAX_GUIDANCE),
            "count": (self.count, 1, MAX_COUNT),
            "at_once": (self.at_once, 1, MAX_COUNT),
            "seed": (self.seed or 0, 0, MAX_SEED),
        }
        for name, (value, least, most) in ranges.items():
            if not (math.isfinite(value) and least <= value <= most):
                raise InputError(f"{name} is {value}; expected {least} to {most}")
        return self if self.seed is not None else replace(self, seed=secrets.randbelow(SEEDS))

    @property
    def seeds(self) -> tuple[int, ...]:
        """One seed for each picture."""
        assert self.seed is not None
        return tuple(range(self.seed, self.seed + self.count))


@dataclass(frozen=True, kw_only=True)
class CanvasEdit:
    """An edit as it stands on the canvas: pixels around [-1, 1].

    `unedited` is the original after the autoencoder: what differs from it, the edit changed.
    """

    seed: int
    pixels: Float[Tensor, "3 height width"]
    unedited: Float[Tensor, "3 height width"]


class Studio:
    """A model that paints, and its processor. Holds no state: safe to use from several threads."""

    def __init__(self, model: OmniModel, processor: Processor):
        if not isinstance(model.painter, Painter):
            raise CapacityError("this model was loaded without 'painter'; load it with that part")
        self.model, self.processor = model, processor
        self.painter = model.painter

    def work(self, options: PaintOptions, original: Size | None = None) -> float:
        """How much is painted: megapixels times steps times pictures.

        `original` is the size of the picture that is edited. Raises InputError for bad options.
        """
        options = options.checked()
        height, width = self._room(options, original)
        return height * width / 1e6 * options.steps * options.count

    def paint(
        self, prompt: str, options: PaintOptions | None = None, on_step: OnStep | None = None
    ) -> list[Picture]:
        """Paint pictures from words.

        Raises InputError for bad options or an empty prompt, and whatever `on_step` raises: so a
        caller cancels.
        """
        options = (options or PaintOptions()).checked()
        size, room = self._wished(options), self._room(options)
        if size != room and not self.painter.config.free_sizes:
            log.warning(
                "painted at %dx%d, this model's own size, and brought to %dx%d",
                *(room[1], room[0], size[1], size[0]),
            )
        tokens = self.condition(prompt, (), options, room)
        return [
            _picture(canvas.resized(canvas.to_picture(pixels), size), seed)
            for seed, pixels in self._run(tokens, room, options, None, on_step)
        ]

    def edit(
        self,
        sources: Sequence[MediaSource],
        instruction: str,
        options: PaintOptions | None = None,
        on_step: OnStep | None = None,
    ) -> list[Picture]:
        """Change the first picture by words; further ones are what the words may refer to.

        The result has the first picture's size, unless `options.size` says otherwise. Raises as
        `paint` does.
        """
        options = (options or PaintOptions()).checked()
        originals = [decode_layers(source) for source in sources]
        edits = self.edit_on_canvas(originals, instruction, options, on_step)
        return [_picture(_finished(edit, originals[0], options), edit.seed) for edit in edits]

    def edit_on_canvas(
        self,
        originals: Sequence[Layers],
        instruction: str,
        options: PaintOptions,
        on_step: OnStep | None = None,
    ) -> list[CanvasEdit]:
        """Edit, and leave the result as it stands on the canvas."""
        if not originals:
            raise InputError("there is nothing to edit; give at least one picture")
        flat = [original.flat for original in originals]
        shape = (flat[0].height, flat[0].width)
        room = self._room(options, shape)
        tokens = self.condition(instruction, flat, options, room)
        shown = [flat[0], *(canvas.cover(other, shape) for other in flat[1:])]
        seen = torch.stack([canvas.to_pixels(picture, room) for picture in shown])
        references = self._encode(seen[: self.painter.config.max_references])
        unedited = self._decode(references[:1])[0]
        return [
            CanvasEdit(seed=seed, pixels=pixels, unedited=unedited)
            for seed, pixels in self._run(tokens, room, options, references, on_step)
        ]

    def _wished(self, options: PaintOptions) -> Size:
        return options.size or canvas_for(self.painter.config, (1, 1), options.resolution)

    def _room(self, options: PaintOptions, original: Size | None = None) -> Size:
        """What is painted for the wished size; an edit is painted in its original's shape."""
        config = self.painter.config
        if original is None:
            return paintable(config, self._wished(options))
        if options.size is not None:
            paintable(config, options.size)  # refuse it before painting
        return canvas_for(config, original, options.resolution)

    @torch.no_grad()
    def condition(
        self,
        prompt: str,
        pictures: "Sequence[PIL.Image.Image]",
        options: PaintOptions,
        room: Size,
    ) -> Tokens:
        """One thinker pass over pictures and words -> condition tokens of a canvas."""
        if not prompt.strip():
            raise InputError("the prompt is empty; say in words what to paint")
        config, queries = self.painter.config.condition, list(self.painter.queries)
        glyphs = text_to_draw(prompt, options)
        if glyphs and self.painter.config.glyph and self.painter.config.glyph.capitals:
            prompt, glyphs = in_capitals(prompt, glyphs)
        images = [Image(source=picture) for picture in pictures if config.reads_pictures]
        asked = self.processor.prepare(Request(messages=(user(*images, prompt),)))
        if queries:
            patch = self.processor.tokenizer.token_id(self.processor.template.image.patch)
            asked = append_queries(asked, config.query_scales, patch)
        read = self.model.embed(asked, torch.cat(queries) if queries else None)
        attend = Packed([len(asked.ids)])
        hidden, _ = self.model.thinker(read.hidden, read.positions, read.modality, attend)
        rows = hidden[asked.spans[-1].start :][: config.num_queries] if queries else hidden
        rows = rows[config.skip_rows :]
        weight = self.painter.connector.proj_in.weight
        seen = None
        if config.sight_dim and pictures:  # as it stands on the canvas, place by place
            shown = canvas.to_picture(canvas.to_pixels(pictures[0], room))
            patches = prepare_picture(shown, self.processor.image)
            seen = [item.to(weight) for item in look_at(self._eyes(), [patches])]
        return self.painter.condition([rows.to(weight)], [glyphs], seen)[0]

    def _eyes(self) -> VisionEncoder:
        if isinstance(self.model.vision, VisionEncoder):
            return self.model.vision
        raise CapacityError(
            "this painter sees what it edits, but its eyes were not loaded; load it with 'vision'"
        )

    def _run(
        self,
        tokens: Tokens,
        room: Size,
        options: PaintOptions,
        references: Float[Tensor, "frames channels rows columns"] | None,
        on_step: OnStep | None,
    ) -> Iterator[tuple[int, Float[Tensor, "3 height width"]]]:
        """Denoise batch by batch: each picture's seed and pixels."""
        config = self.painter.config
        rows, columns = (side // config.autoencoder.factor for side in room)
        patches = rows * columns // config.transformer.patch_size**2
        levels = noise_levels(
            config.schedule, steps=options.steps, num_tokens=patches, spacing=options.spacing
        )
        frames = None if references is None else references.transpose(0, 1)[None]
        for start in range(0, options.count, options.at_once):
            seeds = options.seeds[start : start + options.at_once]
            latents = noise(seeds, (config.transformer.latent_channels, rows, columns))
            conditions = (tokens,) * len(seeds)
            aim = Aim(
                conditions=conditions,
                guidance=options.guidance,
                references=None if frames is None else frames.expand(len(seeds), *frames.shape[1:]),
                kept=None if frames is None else self.painter.kept(conditions),
            )
            try:
                painted = denoise(
                    self.painter, latents.to(tokens.device), aim, levels=levels, on_step=on_step
                )
                yield from zip(seeds, self._decode(painted), strict=True)
            except torch.OutOfMemoryError as error:
                raise CapacityError(
                    f"painting {len(seeds)} of {room[1]}x{room[0]} does not fit into the device's "
                    "memory; paint smaller, or fewer at once"
                ) from error

    @torch.no_grad()
    def _encode(self, pixels: Tensor) -> Tensor:
        weight = self.painter.connector.proj_in.weight
        return self.painter.encode(pixels.to(weight)).float()

    @torch.no_grad()
    def _decode(self, latents: Tensor) -> Tensor:
        weight = self.painter.connector.proj_in.weight
        return self.painter.decode(latents.to(weight)).float()


def text_to_draw(prompt: str, options: PaintOptions) -> str:
    """What the glyph encoder reads: the given text, or what the prompt quotes."""
    if options.text is not None:
        return quoted(options.text)
    if has_open_quote(prompt):
        log.warning("a quotation mark in the prompt has no partner; to draw text, give it as text")
    return glyph_text(prompt)


def _finished(edit: CanvasEdit, original: Layers, options: PaintOptions) -> "PIL.Image.Image":
    picture = canvas.to_picture(edit.pixels)
    own_size = (original.flat.height, original.flat.width)
    if options.size not in (None, own_size):
        return canvas.resized(picture, options.size)
    changes = canvas.changes(edit.pixels, edit.unedited)
    return canvas.restored(picture, original, changes if options.keep else np.ones_like(changes))


def _picture(image: "PIL.Image.Image", seed: int) -> Picture:
    return Picture(image=image, seed=seed, width=image.width, height=image.height)
