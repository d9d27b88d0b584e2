"""Media made ready once: a part whose source is already what the model reads.

A conversation that goes on is prepared again at every turn; its media need not be. A ready part
may be kept, and made in another process: the settings are plain data, and so is the result.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from mingle.errors import InputError
from mingle.messages import Audio, Image, Part, Text
from mingle.processing.audio import AudioSettings, prepare_recording
from mingle.processing.image import ImageSettings, Patches, prepare_picture
from mingle.processing.video import Film, VideoSettings, prepare_film

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class MediaSettings:
    """What a family's media look like to its towers. `video` None: it reads no films."""

    image: ImageSettings
    video: VideoSettings | None
    audio: AudioSettings


@dataclass(frozen=True, kw_only=True)
class LogMel:
    """A recording as an audio tower hears it."""

    frames: Float32[np.ndarray, "frames mels"]


def ready(part: Part, settings: MediaSettings) -> Part:
    """The same part with Patches, a Film or LogMel for a source; a ready part as it is.

    Raises InputError for media that cannot be used.
    """
    if isinstance(part, Text) or isinstance(part.source, Patches | Film | LogMel):
        return part
    if isinstance(part, Image):
        return replace(part, source=prepare_picture(part.source, settings.image, part.size))
    if isinstance(part, Audio):
        return replace(part, source=LogMel(frames=prepare_recording(part.source, settings.audio)))
    if settings.video is None:
        raise InputError("this model reads no films; send some of its frames as pictures")
    return replace(part, source=prepare_film(part, settings.image, settings.video))


def arrays_of(part: Part) -> "tuple[NDArray[np.float32], ...]":
    """The arrays that a ready part holds."""
    if isinstance(part, Text):
        return ()
    if isinstance(part.source, Patches):
        return (part.source.values,)
    if isinstance(part.source, Film):
        return tuple(pair.values for pair in part.source.pairs)
    assert isinstance(part.source, LogMel), "the part is not ready"
    return (part.source.frames,)
