"""One scenario of kinds llm and full: padded official arguments -> what our thinker reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mingle.evaluation.parity.towers import write_audio
from mingle.messages import Modality, Span
from mingle.thinker.config import Axes
from mingle.thinker.model import Thinker
from mingle.thinker.positions import Positions, position_ids

Block = tuple[tuple[int, int, int], float | None]
"""A picture's grid in thinker tokens, and the seconds between its time steps."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A padded batch. `real` is false at padding; masks are None where no media were given."""

    real: Tensor  # batch tokens
    embeds: Tensor  # batch tokens dim
    image_mask: Tensor | None
    audio_mask: Tensor | None
    positions: Mapping[Axes, list[Positions]]  # one for each row, without its padding

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row, without padding."""
        return self.real.sum(1).tolist()

    def modality(self) -> Tensor:
        """The modality of each real token, row after row."""
        kinds = torch.full(self.real.shape, Modality.TEXT)
        if self.image_mask is not None:
            kinds[self.image_mask] = Modality.IMAGE
        if self.audio_mask is not None:
            kinds[self.audio_mask] = Modality.AUDIO
        return kinds[self.real]

    def padded_positions(self, axes: Axes) -> Tensor:
        """[3, batch, tokens]; padding has position 1."""
        padded = torch.ones(3, *self.real.shape, dtype=torch.int64)
        padded[:, self.real] = torch.cat([row.ids for row in self.positions[axes]], dim=1)
        return padded

    def rope_deltas(self, axes: Axes) -> Tensor:
        """[batch, 1]: what the official code adds to the padded length to go on."""
        width = self.real.shape[1]
        return torch.tensor([[row.next_position - width] for row in self.positions[axes]])


def read_scene(
    arguments: Mapping[str, Tensor], raw: Mapping[str, Any], thinker: Thinker, merge: int
) -> Scene:
    """Build a scene from the official thinker's arguments; `raw` is its config's JSON."""
    ids = arguments["input_ids"]
    real = arguments.get("attention_mask", torch.ones_like(ids)).bool()
    image, frame = raw["image_patch_token"], raw["video_patch_token"]
    embeds = thinker.embed_tokens(ids.flatten()).unflatten(0, ids.shape)
    given = {kind: arguments.get(f"query_embeds_{kind}") for kind in ("image", "video", "audio")}
    image_mask = audio_mask = None
    if any(rows is not None for rows in given.values()) and ids.shape[1] > 1:
        image_mask = (ids == image) | (ids == frame)
        for token, rows in ((image, given["image"]), (frame, given["video"])):
            if rows is not None:
                embeds[ids == token] = rows
    if given["audio"] is not None:
        embeds, audio_mask = write_audio(
            embeds,
            given["audio"],
            arguments["query_embeds_audio_lengths"],
            arguments["placeholder_audio_loc_lens"],
        )
    blocks = {image: _images(arguments, merge), frame: _frames(arguments, raw, merge)}
    rows = [_blocks(row[mask].tolist(), blocks) for row, mask in zip(ids, real, strict=True)]
    every_axes: tuple[Axes, ...] = ("video_rope", "3d")
    return Scene(
        real=real,
        embeds=embeds,
        image_mask=image_mask,
        audio_mask=audio_mask,
        positions={axes: [position_ids(*row, axes=axes) for row in rows] for axes in every_axes},
    )


def _blocks(
    ids: list[int], blocks: Mapping[int, Iterator[Block]]
) -> tuple[int, list[Span], list[float | None]]:
    """Length, pictures and time steps of a row; a patch token takes the next grid of its kind."""
    spans, steps, at = [], [], 0
    while at < len(ids):
        if ids[at] not in blocks:
            at += 1
            continue
        grid, step = next(blocks[ids[at]])
        length = grid[0] * grid[1] * grid[2]
        spans.append(Span(start=at, length=length, kind="image", item=len(spans), grid=grid))
        steps.append(step)
        at += length
    return len(ids), spans, steps


def _images(arguments: Mapping[str, Tensor], merge: int) -> Iterator[Block]:
    """Pictures in prompt order, over the whole batch."""
    still = 0.0 if "second_per_grid_ts" in arguments else None
    for time, height, width in arguments.get("image_grid_thw", torch.empty(0, 3)).tolist():
        yield (time, height // merge, width // merge), still


def _frames(arguments: Mapping[str, Tensor], raw: Mapping[str, Any], merge: int) -> Iterator[Block]:
    """Frames in prompt order; with interleaved time stamps each time step is one of its own."""
    rows = []
    for time, height, width in arguments.get("image_grid_thw_video", torch.empty(0, 3)).tolist():
        split = raw.get("use_interleaved_frame_timestamp", True)
        rows += [(1, height, width)] * time if split else [(time, height, width)]
    seconds = arguments.get("second_per_grid_ts")
    for index, (time, height, width) in enumerate(rows):
        step = None if seconds is None else float(seconds[index])
        yield (time, height // merge, width // merge), step
