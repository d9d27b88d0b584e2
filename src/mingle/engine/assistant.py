"""The assistant: one object for everyday use; `mingle.load("nano").chat("Hello")`."""

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from mingle.checkpoints.device import usable_device
from mingle.checkpoints.load import ModelFolder, open_model
from mingle.engine.engine import Engine
from mingle.engine.listening import Listener
from mingle.engine.paint import PaintOptions, Studio
from mingle.engine.reply import Reply, collect
from mingle.engine.scheduler import Limits
from mingle.engine.segment import Segmentation, segment
from mingle.engine.speak import SpeakOptions
from mingle.engine.speech import Speech
from mingle.engine.transcribe import Hints, Segment, Transcript, segments, transcript
from mingle.errors import CapacityError, ConfigError, InputError
from mingle.messages import (
    Audio,
    Event,
    Image,
    MediaSource,
    Message,
    Part,
    Picture,
    Request,
    SamplingOptions,
    SpeechChunk,
    Text,
    Video,
    as_parts,
)
from mingle.model import OmniModel
from mingle.painter.denoise import OnStep
from mingle.processing.inputs import Processor
from mingle.talker.instruction import Style
from mingle.talker.voice import Voice

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "auto": None,  # as the files hold it
}


def load(
    name_or_folder: str | Path = "nano",
    *,
    dtype: str = "float32",
    device: str = "cpu",
    limits: Limits | None = None,
) -> "Assistant":
    """Open a model by its name or from a folder; its parts are loaded when they are first needed.

    dtype is float32, bfloat16, float16 or auto (as the files hold it). Raises InputError for an
    unknown name, CheckpointError for a model that is not here, CapacityError for a device that this
    machine does not have.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
    where = usable_device(device)
    return Assistant(open_model(name_or_folder), dtype=DTYPES[dtype], device=where, limits=limits)


class Assistant:
    """A model with its processor and engine. Safe to use from several threads; close it at the end.

    It may stand in a `with` statement.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        dtype: torch.dtype | None,
        device: torch.device,
        limits: Limits | None = None,
    ):
        self.folder = folder
        self.dtype, self.device = dtype, device
        self._limits = limits
        self._loading = threading.RLock()

    def __enter__(self) -> "Assistant":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def model(self) -> OmniModel:
        """The thinker, and the parts that were needed so far."""
        with self._loading:
            return self.folder.load(("thinker",), dtype=self.dtype, device=self.device)

    @cached_property
    def engine(self) -> Engine:
        """The engine, running in the background."""
        with self._loading:
            return Engine(self.model, self.processor, self._limits, self.listener).start()

    @cached_property
    def listener(self) -> Listener | None:
        """Reads recordings, for models that hear by reading; None for the others."""
        reader = self.processor.reader
        if reader is None:
            return None
        return Listener(
            model=self.model,
            reader=reader,
            media=self.processor.media,
            beside_pictures=self.processor.reads(shown=True),
        )

    @cached_property
    def processor(self) -> Processor:
        """What turns requests into the model's inputs."""
        return self.folder.processor()

    def need(self, *parts: str) -> OmniModel:
        """The model with these parts loaded. Raises CapacityError for one that it does not have."""
        with self._loading:
            missing = [part for part in parts if getattr(self.model, part) is None]
            unknown = [part for part in missing if part not in self.folder.parts]
            if unknown:
                raise CapacityError(
                    f"{self.folder.family.name} in {self.folder.folder} has no part "
                    f"'{unknown[0]}'; its parts: {', '.join(self.folder.parts)}"
                )
            if missing:
                modules, _ = self.folder.load_modules(missing, dtype=self.dtype, device=self.device)
                for part, module in modules.items():
                    setattr(self.model, part, module)
            return self.model

    # --- text -----------------------------------------------------------------------------------

    def chat(self, prompt: str, **options: Any) -> Reply:
        """Answer, and return when the answer is whole. Options are those of `request`."""
        return collect(self.stream(prompt, **options))

    def stream(self, prompt: str, **options: Any) -> Generator[Event, None, None]:
        """Answer event by event; the last one is Finished. Closing the iterator cancels."""
        return self.events(self.request(prompt, **options))

    def events(self, request: Request) -> Generator[Event, None, None]:
        """The events of a request; closing the iterator cancels what still runs."""
        self.need(*parts_for(request))
        stream = self.engine.submit(request)
        try:
            yield from stream
        finally:
            stream.cancel()

    def request(
        self,
        prompt: str,
        *,
        images: Sequence[MediaSource] = (),
        audio: Sequence[MediaSource] = (),
        video: Sequence[MediaSource] = (),
        history: Sequence[Message] = (),
        **options: Any,
    ) -> Request:
        """One question after a history, its media before its words.

        Options: `system`; those of messages.Request (thinking, max_new_tokens, stop, prefill) and
        of messages.SamplingOptions (temperature, seed, ...), which begin at what suits the model.
        """
        parts: list[Part] = [
            *(Image(source=source) for source in images),
            *(Video(source=source) for source in video),
            *(Audio(source=source) for source in audio),
        ]
        if prompt:
            parts.append(Text(text=prompt))
        if not parts:
            raise InputError("there is nothing to answer: give a text, a picture, a film or sound")
        question = Message(role="user", parts=tuple(parts))
        messages = (*history, question)
        if (system := options.pop("system", None)) is not None:
            first = Message(role="system", parts=as_parts([system]))
            messages = (first, *(m for m in messages if m.role != "system"))
        return self.ask(messages, **options)

    def ask(self, messages: Sequence[Message], **options: Any) -> Request:
        """A request for an answer to a conversation; options as in `request`."""
        sampling, plain = {}, {}
        for name, value in options.items():
            if name in SamplingOptions.__dataclass_fields__:
                sampling[name] = value
            elif name in Request.__dataclass_fields__:
                plain[name] = value
            else:
                raise ConfigError(f"unknown option '{name}'; see Assistant.request")
        return Request(
            messages=tuple(messages), sampling=replace(self.folder.sampling, **sampling), **plain
        )

    # --- sound ----------------------------------------------------------------------------------

    def transcribe(
        self,
        audio: MediaSource,
        *,
        language: str | None = None,
        dialect: str | None = None,
        context: str | None = None,
        hotwords: Sequence[str] = (),
    ) -> Transcript:
        """Write down a recording of any length.

        The hints are optional: a language code, a dialect as the model names it, what the
        recording is about, words that may occur in it.
        """
        hints = Hints(language=language, dialect=dialect, context=context, hotwords=tuple(hotwords))
        return transcript(tuple(self.segments(audio, hints)), hints, self.processor)

    def segments(self, audio: MediaSource, hints: Hints) -> Iterator[Segment]:
        """A recording's segments, each as soon as it is known."""
        self.need("audio")
        return segments(self.engine, self.processor, audio, hints)

    @cached_property
    def speech(self) -> Speech:
        """The talker and its voices: `speech.voices.clone(...)`, `speech.speaker.sound(...)`."""
        return Speech(self.folder, self.dtype, self.device)

    def speak(
        self,
        text: str | Iterable[str],
        *,
        voice: str | Voice | None = None,
        style: Style | None = None,
        options: SpeakOptions | None = None,
    ) -> Generator[SpeechChunk, None, None]:
        """Speak a text, or text that still arrives; closing the iterator cancels.

        `voice` is a preset's name or a Voice; None is the model's first preset, if it has any.
        """
        chosen = self.speech.voice(voice)
        return self.speech.speaker.speak(text, voice=chosen, style=style, options=options)

    # --- pictures -------------------------------------------------------------------------------

    @property
    def studio(self) -> Studio:
        """What paints, edits and segments: the painter behind the thinker."""
        parts = ("thinker", "painter", *(["vision"] if "vision" in self.folder.parts else []))
        return Studio(self.need(*parts), self.processor)

    def paint(self, prompt: str, *, on_step: OnStep | None = None, **options: Any) -> list[Picture]:
        """Paint from words. Options are those of `PaintOptions`; `on_step` may raise to cancel."""
        return self.studio.paint(prompt, PaintOptions(**options), on_step)

    def edit(
        self,
        pictures: MediaSource | Sequence[MediaSource],
        instruction: str,
        *,
        on_step: OnStep | None = None,
        **options: Any,
    ) -> list[Picture]:
        """Change a picture by words; of several pictures the first is changed."""
        sources = pictures if isinstance(pictures, list | tuple) else [pictures]
        return self.studio.edit(sources, instruction, PaintOptions(**options), on_step)

    def segment(
        self,
        picture: MediaSource,
        phrase: str,
        *,
        colour: str | None = None,
        on_step: OnStep | None = None,
        **options: Any,
    ) -> Segmentation:
        """The mask of what a phrase names. Options are those of `PaintOptions`."""
        plan = PaintOptions(**options)
        return segment(self.studio, picture, phrase, colour=colour, options=plan, on_step=on_step)

    def close(self) -> None:
        """Stop the engine; what runs ends as cancelled."""
        if "engine" in self.__dict__:
            self.engine.close()


def parts_for(request: Request) -> tuple[str, ...]:
    """The parts of a model that must be there to read a request."""
    parts = [part for message in request.messages for part in message.parts]
    sees = any(isinstance(part, Image | Video) for part in parts)
    hears = any(isinstance(part, Audio) for part in parts)
    return ("thinker", *(["vision"] if sees else []), *(["audio"] if hears else []))
