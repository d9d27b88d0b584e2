"""Films: which frames to take, how large, and the patches of each frame pair."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mingle.errors import InputError
from mingle.messages import Video
from mingle.processing.footage import Footage, open_film, open_listed
from mingle.processing.image import ImageSettings, Patches, fit_size, patchify
from mingle.processing.resize import resize_cubic
from mingle.processing.sources import describe, is_folder


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """A film's budget: pixels of one frame at least, of all frame pairs together, and frames."""

    min_pixels: int
    total_pixels: int
    max_frames: int


@dataclass(frozen=True, kw_only=True)
class Film:
    """What a model reads of a film: one Patches for each frame pair, and the pair's time."""

    pairs: tuple[Patches, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Frames chosen from a film: their numbers, and the times (seconds) that labels tell."""

    indices: tuple[int, ...]
    seconds: tuple[float, ...]
    frames_per_second: float


def prepare_film(video: Video, image: ImageSettings, settings: VideoSettings) -> Film:
    """Choose, decode, resize and cut the frames of a film, one frame in memory at a time.

    Raises InputError for anything that is not a film, is cut off, or has no frames.
    """
    _check_wishes(video)
    most = min(video.max_frames, settings.max_frames)
    if _is_listed(video.source):
        footage = open_listed(video.source)
        sample = sample_listed(footage.count, video.frames_per_second, most)
        budgeted = max(1, len(sample.indices) // 2 * 2)  # official count of a list: whole pairs
    else:
        footage = open_film(video.source)
        sample = sample_film(
            footage.count,
            footage.frames_per_second,
            wished=video.frames_per_second,
            max_frames=most,
        )
        budgeted = len(sample.indices)
    seconds = pad_last(sample.seconds, image.temporal_patch)
    frames = _resized(footage, sample, video.size, budgeted, image, settings)
    return Film(
        pairs=tuple(patchify(np.stack(group), image) for group in _groups(frames, image)),
        seconds=pair_seconds(seconds, image.temporal_patch),
    )


def sample_film(count: int, source_fps: float, *, wished: float, max_frames: int) -> Sample:
    """Spread frames evenly over a film, `wished` of them a second, the first and last included.

    The label of frame i is i / (achieved rate), which is not quite its true time: official.
    """
    rate = min(wished, source_fps)
    chosen = min(max(int(count / source_fps * rate + 0.5), 1), max_frames, max(count, 1))
    achieved = chosen / count * source_fps
    return Sample(
        indices=tuple(int(index) for index in np.linspace(0, count - 1, chosen, dtype=int)),
        seconds=tuple(position / achieved for position in range(chosen)),
        frames_per_second=achieved,
    )


def sample_listed(count: int, frames_per_second: float, max_frames: int) -> Sample:
    """Take all of a list of frames that stand 1 / frames_per_second apart, or spread over it."""
    chosen = min(count, max_frames)
    indices = tuple(int(index) for index in np.linspace(0, count - 1, chosen, dtype=int))
    return Sample(
        indices=indices,
        seconds=tuple(index / frames_per_second for index in indices),
        frames_per_second=frames_per_second,
    )


def film_size(
    height: int, width: int, frames: int, image: ImageSettings, settings: VideoSettings
) -> tuple[int, int]:
    """(height, width) that frames of a film are resized to; `frames` share the pixel budget."""
    least = settings.min_pixels
    most = max(settings.total_pixels / frames * 2, int(least * 1.05))
    return fit_size(height, width, image, (least, most))


def pad_last(values: tuple[Any, ...], multiple: int) -> tuple[Any, ...]:
    """Repeat the last value until the count is a multiple."""
    return values + values[-1:] * (-len(values) % multiple)


def pair_seconds(seconds: tuple[float, ...], temporal_patch: int) -> tuple[float, ...]:
    """The mean time of each group of frames that one temporal patch covers."""
    starts = range(0, len(seconds), temporal_patch)
    return tuple(sum(seconds[i : i + temporal_patch]) / temporal_patch for i in starts)


def _resized(
    footage: Footage,
    sample: Sample,
    wished_size: tuple[int, int] | None,
    budgeted: int,
    image: ImageSettings,
    settings: VideoSettings,
) -> Iterator[np.ndarray[Any, np.dtype[Any]]]:
    size: tuple[int, int] | None = None
    for frame in footage.frames(sample.indices):
        if size is None:
            height, width = frame.shape[:2]
            size = (
                fit_size(*wished_size, image)
                if wished_size
                else film_size(height, width, budgeted, image, settings)
            )
        yield resize_cubic(frame, *size)


def _groups(
    frames: Iterable[np.ndarray[Any, np.dtype[Any]]], image: ImageSettings
) -> Iterator[tuple[np.ndarray[Any, np.dtype[Any]], ...]]:
    """Frames in groups of one temporal patch; the last frame is repeated to fill the last one."""
    group: tuple[np.ndarray[Any, np.dtype[Any]], ...] = ()
    for frame in frames:
        group = (*group, frame)
        if len(group) == image.temporal_patch:
            yield group
            group = ()
    if group:
        yield pad_last(group, image.temporal_patch)


def _is_listed(source: Any) -> bool:
    return isinstance(source, list | tuple | np.ndarray) or is_folder(source)


def _check_wishes(video: Video) -> None:
    name = f"film {describe(video.source)}"
    if not (math.isfinite(video.frames_per_second) and video.frames_per_second > 0):
        raise InputError(f"{name}: {video.frames_per_second} frames a second; expected more than 0")
    if video.max_frames < 1:
        raise InputError(f"{name}: at most {video.max_frames} frames; expected 1 or more")
    if video.size and min(video.size) < 1:
        raise InputError(f"{name}: size {video.size}; expected (height, width) of 1 or more")
