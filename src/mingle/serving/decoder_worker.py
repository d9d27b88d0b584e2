"""The process in which uploaded media are decoded: `python -m mingle.serving.decoder_worker`.

It reads jobs from its input (pickled by the server, which it trusts) and writes results as JSON
and raw arrays (the server does not trust it: a hostile file may have taken it over). It has a
limit on memory, may write no file, and knows neither keys nor model.
"""

import json
import os
import pickle
import struct
import sys
from dataclasses import dataclass
from io import BufferedWriter
from typing import Any, BinaryIO, Literal

import numpy as np

from mingle.errors import CapacityError, MingleError
from mingle.messages import Audio, Image, Part
from mingle.processing.image import Patches, decode_layers
from mingle.processing.ready import LogMel, MediaSettings, ready
from mingle.processing.recording import decode_recording
from mingle.processing.video import Film

LENGTH = struct.Struct(">Q")
Facts = dict[str, Any]
Arrays = tuple[np.ndarray[Any, np.dtype[Any]], ...]
Purpose = Literal["read", "listen", "paint"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One medium. To be read by the thinker, listened to as sound, or painted on as pixels."""

    purpose: Purpose
    part: Part
    settings: MediaSettings
    max_audio_s: float


def main() -> None:
    """Decode until the input ends."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no result
    _confine(int(sys.argv[1]))
    while (job := _next(sys.stdin.buffer)) is not None:
        _answer(results, job)


def decode(job: Job) -> tuple[Facts, Arrays]:
    """Do one job: plain facts, and arrays."""
    if job.purpose == "listen":
        assert isinstance(job.part, Audio)
        recording = decode_recording(job.part.source, max_seconds=job.max_audio_s)
        return {"rate": recording.sample_rate_hz}, (recording.samples,)
    if job.purpose == "paint":
        assert isinstance(job.part, Image)
        layers = decode_layers(job.part.source)
        pixels = np.asarray(layers.colours)
        alpha = () if layers.alpha is None else (np.asarray(layers.alpha)[..., None],)
        return {}, (np.concatenate((pixels, *alpha), axis=-1),)
    source: Any = getattr(ready(job.part, job.settings), "source", None)
    if isinstance(source, Patches):
        return {"grids": [source.grid]}, (source.values,)
    if isinstance(source, Film):
        grids = [pair.grid for pair in source.pairs]
        return {"grids": grids, "seconds": source.seconds}, tuple(p.values for p in source.pairs)
    assert isinstance(source, LogMel)
    return {}, (source.frames,)


def _confine(max_bytes: int) -> None:
    """Give up what decoding does not need."""
    try:
        import resource
    except ImportError:  # not a POSIX system: time limits and the separate process remain
        return
    for kind, most in (
        (resource.RLIMIT_AS, max_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _next(jobs: BinaryIO) -> Job | None:
    head = jobs.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return pickle.loads(jobs.read(LENGTH.unpack(head)[0]))


def _answer(results: BufferedWriter, job: Job) -> None:
    arrays: Arrays = ()
    try:
        facts, arrays = decode(job)
    except MingleError as error:
        kind = "capacity" if isinstance(error, CapacityError) else "input"
        facts = {"error": str(error), "kind": kind}
    except MemoryError:
        message = "the medium needs more memory to decode than is allowed; make it smaller"
        facts = {"error": message, "kind": "input"}
    arrays = tuple(np.ascontiguousarray(array) for array in arrays)
    shapes = [(array.dtype.str, array.shape) for array in arrays]
    head = json.dumps({"facts": facts, "arrays": shapes}).encode()
    results.write(LENGTH.pack(len(head)) + head)
    for array in arrays:
        results.write(array.data)
    results.flush()


if __name__ == "__main__":
    main()
