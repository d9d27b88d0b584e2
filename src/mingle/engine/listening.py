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
    """Whether words stand too for what is asked by voice alone in requests with pictures or films.
    If not, the thinker hears it; a recording beside written words is always quoted."""

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
        if not any(isinstance(part, Audio) for m in request.messages for part in m.parts):
            return request
        shown = any(isinstance(part, Image | Video) for m in request.messages for part in m.parts)
        hears = shown and not self.beside_pictures
        return replace(request, messages=tuple(self._message(m, hears) for m in request.messages))

    def _message(self, message: Message, hears: bool) -> Message:
        written = any(isinstance(part, Text) and part.text.strip() for part in message.parts)
        if hears and not written:
            return message
        return replace(message, parts=tuple(self._part(part, written) for part in message.parts))

    def _part(self, part: Part, asked: bool) -> Part:
        """Words alone are what a person says; beside a written question they are quoted."""
        if not isinstance(part, Audio):
            return part
        words = self.read(part)[0].text
        return Text(text=f'\nIn the recording somebody says: "{words}"\n' if asked else words)
