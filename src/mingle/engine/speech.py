"""Speech out of one model folder: its talker and its voices, loaded when they are first needed."""

import threading
from functools import cached_property
from typing import cast

import torch

from mingle.checkpoints.load import ModelFolder
from mingle.checkpoints.speech_files import SpeechFiles
from mingle.engine.speak import Speaker
from mingle.engine.voices import VoiceBook, open_speaker_encoder
from mingle.errors import CapacityError
from mingle.talker.speech import SpeechModel
from mingle.talker.voice import NOBODY, Voice


class Speech:
    """The talker alone: no thinker is loaded. Safe to share among threads."""

    def __init__(self, folder: ModelFolder, dtype: torch.dtype | None, device: torch.device):
        self.folder = folder
        self._dtype, self._device = dtype, device
        self._loading = threading.RLock()

    @cached_property
    def files(self) -> SpeechFiles:
        """Tokenizer, speaker encoder, presets. Raises CapacityError for a model without talker."""
        family = self.folder.family
        if family.speech is None or "talker" not in self.folder.parts:
            raise CapacityError(
                f"{family.name} in {self.folder.folder} has no talker, so it cannot speak"
            )
        return family.speech(self.folder.folder)

    @cached_property
    def speaker(self) -> Speaker:
        """The talker, ready to speak."""
        with self._loading:
            words = self.files.open_words()
            modules, _ = self.folder.load_modules(
                ("talker",), dtype=self._dtype, device=self._device
            )
            return Speaker(cast(SpeechModel, modules["talker"]), words)

    @cached_property
    def voices(self) -> VoiceBook:
        """The voices that come with the model; `clone` makes another one."""
        with self._loading:
            model, file = self.speaker.model, self.files.speaker_encoder
            heard = None if file is None else open_speaker_encoder(file)
            if model.speaker is not None:
                heard = model.hear_speaker
            return VoiceBook(model, heard, self.files.presets)

    def voice(self, named: str | Voice | None) -> Voice:
        """The voice of that name; None is the model's first one, or nobody if it has none."""
        if isinstance(named, Voice):
            return named
        if named is None and not self.files.presets:
            return NOBODY
        return self.voices.find(named or next(iter(self.files.presets)))
