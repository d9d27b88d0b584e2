"""Where a film's frames come from: files (PyAV), folders and lists of pictures."""

import bisect
import logging
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from mingle.errors import InputError
from mingle.messages import MediaSource
from mingle.processing.containers import open_container
from mingle.processing.image import MAX_SOURCE_PIXELS, decode_picture, picture_size
from mingle.processing.sources import describe, is_folder, open_source

if TYPE_CHECKING:
    import av.container
    import av.video.frame
    import av.video.stream

log = logging.getLogger(__name__)

Pixels = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, kw_only=True)
class Footage:
    """Frames that can be read by number. `frames` takes rising numbers and decodes lazily."""

    count: int
    frames_per_second: float
    frames: Callable[[Sequence[int]], Iterator[Pixels]]


def open_listed(source: MediaSource) -> Footage:
    """Frames that stand in a folder (in order of their names) or in a list.

    Frames of another shape than the most common one are first resized to it (bicubic). The rate
    is not known: 0. Raises InputError for an empty folder or list.
    """
    items = _folder_files(Path(source)) if is_folder(source) else list(source)
    if not items:
        raise InputError(f"film {describe(source)} has no frames; expected at least one picture")

    def frames(indices: Sequence[int]) -> Iterator[Pixels]:
        shapes = Counter(picture_size(items[index]) for index in indices)
        height, width = shapes.most_common(1)[0][0]
        for index in indices:
            picture = decode_picture(items[index])
            yield np.asarray(picture.resize((width, height)))

    return Footage(count=len(items), frames_per_second=0.0, frames=frames)


def open_film(source: MediaSource) -> Footage:
    """Frames of a film file. The index is read at once (no decoding), frames by seeking.

    Raises InputError if it is no film, has no frames or is cut off.
    """
    file = open_source(source, "film")
    with _opened(file, source) as (container, stream):
        index = _read_index(container, stream)
        declared, rate = stream.frames, stream.average_rate
        size = stream.codec_context.width * stream.codec_context.height
    if size > MAX_SOURCE_PIXELS:
        raise InputError(
            f"film {describe(source)} has frames of {size / 1e6:.0f} megapixels; "
            f"at most {MAX_SOURCE_PIXELS / 1e6:.0f} are taken: make it smaller first"
        )
    if not index.count:
        raise InputError(f"film {describe(source)} has no frames; send the whole file")
    if index.count < declared - index.hidden:
        raise InputError(
            f"film {describe(source)} is cut off: {index.count} of {declared} frames are there; "
            "send the whole file"
        )

    def frames(indices: Sequence[int]) -> Iterator[Pixels]:
        with _opened(file, source) as (container, stream):
            yield from _decode_chosen(container, stream, index, indices, source)

    if not rate:
        log.warning("film %s tells no frame rate; 25 a second are assumed", describe(source))
    return Footage(count=index.count, frames_per_second=float(rate or 25), frames=frames)


@dataclass(frozen=True, kw_only=True)
class _Index:
    """Presentation times of all frames and of the key frames, sorted, in stream units.

    Empty `times` with a count: the container tells no times, frames are counted while decoding.
    """

    count: int
    hidden: int
    times: list[int]
    keys: list[int]


@contextmanager
def _opened(
    file: Path | BytesIO, source: MediaSource
) -> Generator[tuple["av.container.InputContainer", "av.video.stream.VideoStream"]]:
    """The container and its first picture stream."""
    with open_container(file, source, "film") as container:
        if not container.streams.video:
            raise InputError(f"{describe(source)} holds no pictures; expected a film")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield container, stream


def _read_index(
    container: "av.container.InputContainer", stream: "av.video.stream.VideoStream"
) -> _Index:
    times: list[int] = []
    keys: list[int] = []
    count = hidden = 0
    for packet in container.demux(stream):
        if not packet.size:
            continue
        if packet.is_discard:  # before the start that an edit list sets
            hidden += 1
            continue
        count += 1
        if packet.pts is not None:
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    complete = len(times) == count and len(set(times)) == count
    return _Index(
        count=count,
        hidden=hidden,
        times=sorted(times) if complete else [],
        keys=sorted(keys) if complete else [],
    )


def _decode_chosen(
    container: "av.container.InputContainer",
    stream: "av.video.stream.VideoStream",
    index: _Index,
    indices: Sequence[int],
    source: MediaSource,
) -> Iterator[Pixels]:
    chosen = (
        _seek_chosen(container, stream, index, indices)
        if index.times
        else _count_chosen(container, stream, indices)
    )
    found = 0
    for frame in chosen:
        found += 1
        turns = round(frame.rotation / 90)  # counter-clockwise, from the container
        yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
    if found < len(indices):
        raise InputError(
            f"film {describe(source)} is cut off or damaged: frame {indices[found]} "
            f"of {index.count} cannot be decoded; send the whole file"
        )


def _seek_chosen(
    container: "av.container.InputContainer",
    stream: "av.video.stream.VideoStream",
    index: _Index,
    indices: Sequence[int],
) -> Iterator["av.video.frame.VideoFrame"]:
    """Decode on to the next chosen frame, or seek if a key frame stands between."""
    frames = container.decode(stream)
    now: int | None = None
    for wanted in (index.times[i] for i in indices):
        key = index.keys[bisect.bisect_right(index.keys, wanted) - 1] if index.keys else None
        if key is not None and key <= wanted and (now is None or key > now):
            container.seek(key, stream=stream)
            frames = container.decode(stream)
        frame = _next_at(frames, wanted)
        if frame is None or frame.pts != wanted:  # some files seek past the key frame asked for
            container.seek(index.times[0], stream=stream)
            frames = container.decode(stream)
            frame = _next_at(frames, wanted)
        if frame is None:
            return
        now = frame.pts
        yield frame


def _next_at(
    frames: Iterator["av.video.frame.VideoFrame"], wanted: int
) -> "av.video.frame.VideoFrame | None":
    for frame in frames:
        if frame.pts is not None and frame.pts >= wanted:
            return frame
    return None


def _count_chosen(
    container: "av.container.InputContainer",
    stream: "av.video.stream.VideoStream",
    indices: Sequence[int],
) -> Iterator["av.video.frame.VideoFrame"]:
    """Frames by counting, for containers without presentation times."""
    wanted = set(indices)
    for number, frame in enumerate(container.decode(stream)):
        if number in wanted:
            yield frame


def _folder_files(folder: Path) -> list[Any]:
    """The folder's visible files, frame2 before frame10."""
    files = (path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    return sorted(files, key=lambda path: _numbers_first(path.name))


def _numbers_first(name: str) -> list[tuple[int, str]]:
    pieces = re.split(r"([0-9]+)", name)
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]
