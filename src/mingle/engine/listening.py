"""Hearing by reading: recordings in a request become the words that the ears read in them.

For models whose thinker does not (yet) understand the audio tower's embeddings well, or only
beside pictures: their processor has a `reader`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32

from mingle.messages import Audio, Image, Message, Part, Request, Text, Video
from mingle.processing.audio import AudioSettings
from mingle.processing.reading import LetterReader, Reading
from mingle.processing.ready import LogMel, MediaSettings, ready


@runtime_checkable
class Ears(Protocol):
    """What listening needs of a model (`mingle.model.OmniModel`, or a fake)."""

    def read_recordings(
        self, recordings: Sequence[np.ndarray]
    ) -> list[Float32[np.ndarray, "_ letters"]]: ...


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Reads recordings with a model's audio tower; the tower may be loaded after this is made."""

    model: Ears
    reader: LetterReader
    media: MediaSettings
    beside_pictures: bool = True
    """Whether words stand for recordings in requests with pictures or films too."""

    @property
    def settings(self) -> AudioSettings:
        """What the tower hears."""
        return self.media.audio

    def read(self, audio: Audio, expected: Iterable[str] = (), num: int = 1) -> list[Reading]:
        """The `num` most likely texts of a recording, the best first; `expected` words may be said.

        Raises InputError for unusable sound, CapacityError if the model's ears are not loaded.
        """
        heard = ready(audio, self.media)
        assert isinstance(heard, Audio)
        assert isinstance(heard.source, LogMel)
        with torch.inference_mode():
            (scores,) = self.model.read_recordings([heard.source.frames])
        return self.reader.read(scores, expected, num)

    def heard(self, request: Request) -> Request:
        """The request with words in the place of recordings, unless the thinker hears those."""
        parts = [part for message in request.messages for part in message.parts]
        sees = any(isinstance(part, Image | Video) for part in parts)
        hears = any(isinstance(part, Audio) for part in parts)
        if not hears or (sees and not self.beside_pictures):
            return request
        return replace(request, messages=tuple(self._message(m) for m in request.messages))

    def _message(self, message: Message) -> Message:
        return replace(message, parts=tuple(self._part(part, message) for part in message.parts))

    def _part(self, part: Part, message: Message) -> Part:
        """Words alone are what a person says; beside a written question they are quoted."""
        if not isinstance(part, Audio):
            return part
        words = self.read(part)[0].text
        asked = any(isinstance(other, Text) for other in message.parts)
        return Text(text=f'\nIn the recording somebody says: "{words}"\n' if asked else words)
