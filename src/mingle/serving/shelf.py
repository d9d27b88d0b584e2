"""The voices of one server: those that come with the model, and those that were added."""

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mingle.engine.assistant import Assistant
from mingle.errors import CapacityError, CheckpointError, InputError
from mingle.processing.recording import Recording, decode_recording
from mingle.processing.sound_file import encode_sound
from mingle.serving.faults import AbsentError
from mingle.talker.voice import Voice

NAME = re.compile(r"[\w][\w .-]{0,63}")
MAX_VOICES = 1000
DEFAULT = "default"
"""The model's own voice by a name, for clients that must name one."""


@dataclass(frozen=True, kw_only=True)
class Added:
    """What is told of an added voice. `consent`: how the speaker agreed, in the adder's words."""

    name: str
    consent: str
    ref_text: str | None
    description: str
    created_at: int


class Shelf:
    """Safe to use from several threads. Without a folder, added voices live as long as it."""

    def __init__(self, assistant: Assistant, folder: Path | None):
        self._assistant, self._folder = assistant, folder
        self._changing = threading.Lock()
        self._added: dict[str, Added] = {}
        self._sounds: dict[str, Recording] = {}
        self._known: dict[str, Voice] = {}
        if folder is not None and folder.is_dir():
            self._added = {voice.name: voice for voice in map(_read, sorted(folder.glob("*.json")))}

    @property
    def speaks(self) -> bool:
        """Whether the model has a talker at all."""
        return "talker" in self._assistant.folder.parts

    @property
    def presets(self) -> tuple[str, ...]:
        """Voices that come with the model, its own first."""
        return (DEFAULT, *self._assistant.speech.files.presets) if self.speaks else ()

    @property
    def added(self) -> Mapping[str, Added]:
        """Voices that were added, by name."""
        return self._added

    def voice(self, name: str | None) -> Voice:
        """The voice of that name; None is the model's own. Raises AbsentError for an unknown one.

        Loads the talker where that has not been done: call it in a thread.
        """
        speech = self._assistant.speech
        if name in (None, DEFAULT):
            return speech.voice(None)
        if name in self.presets:
            return speech.voice(name)
        if name not in self._added:
            known = ", ".join((*self.presets, *self._added))
            raise AbsentError(f"there is no voice '{name}'; known: {known}")
        with self._changing:
            if name not in self._known:
                sound = self._sound(name)
                transcript = self._added[name].ref_text
                self._known[name] = speech.voices.clone([sound], transcript=transcript, name=name)
            return self._known[name]

    def clone(self, sounds: list[Recording], transcript: str | None) -> Voice:
        """A voice for one request, kept nowhere."""
        return self._assistant.speech.voices.clone(sounds, transcript=transcript)

    def add(self, told: Added, sound: Recording) -> None:
        """Keep a voice under a new name. Raises InputError for a name or a sound that cannot be."""
        if not NAME.fullmatch(told.name):
            raise InputError(
                f"the name '{told.name[:80]}' is no name for a voice; "
                "expected 1 to 64 letters, digits, spaces, and . _ -"
            )
        voice = self._assistant.speech.voices.clone(
            [sound], transcript=told.ref_text, name=told.name
        )
        with self._changing:
            if told.name in (*self.presets, *self._added):
                raise InputError(f"there is a voice '{told.name}' already; choose another name")
            if len(self._added) >= MAX_VOICES:
                raise CapacityError(f"{MAX_VOICES} voices are kept already; delete some")
            self._write(told, sound)
            self._added[told.name], self._known[told.name] = told, voice

    def remove(self, name: str) -> None:
        """Forget an added voice and its recording. Raises AbsentError for an unknown one."""
        with self._changing:
            if self._added.pop(name, None) is None:
                raise AbsentError(f"no voice '{name}' was added here")
            self._known.pop(name, None)
            self._sounds.pop(name, None)
            if self._folder is not None:
                for suffix in (".json", ".wav"):
                    self._file(name, suffix).unlink(missing_ok=True)

    def _file(self, name: str, suffix: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}{suffix}"

    def _sound(self, name: str) -> Recording:
        return (
            self._sounds[name]
            if name in self._sounds
            else decode_recording(self._file(name, ".wav"))
        )

    def _write(self, told: Added, sound: Recording) -> None:
        """Sound first: a description without sound would be a voice that cannot speak."""
        if self._folder is None:
            self._sounds[told.name] = sound
            return
        content = json.dumps(asdict(told), ensure_ascii=False).encode()
        wave = encode_sound(sound.samples, sound.sample_rate_hz, "wav")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for suffix, data in ((".wav", wave), (".json", content)):
                file = self._file(told.name, suffix)
                scratch = file.with_suffix(".part")
                scratch.write_bytes(data)
                scratch.replace(file)
        except OSError as error:
            for suffix in (".json", ".wav", ".part"):
                with contextlib.suppress(OSError):
                    self._file(told.name, suffix).unlink()
            raise CapacityError(
                f"the voice cannot be kept ({error.strerror}); make room on the server's disk"
            ) from error


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


def _read(file: Path) -> Added:
    try:
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return Added(**told)
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"the voice {file} cannot be read ({error}); delete it") from error
