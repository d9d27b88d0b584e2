"""Records -> examples: what a model reads and what it should make of it, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from mingle.errors import InputError
from mingle.messages import Audio, Image, MediaSource, Message, Request, Text
from mingle.painter.config import PainterConfig
from mingle.painter.glyphs import glyph_text
from mingle.painter.sizes import paintable
from mingle.processing.image import Patches, decode_picture, prepare_picture
from mingle.processing.inputs import Processor, Prompt
from mingle.processing.queries import append_queries
from mingle.processing.recording import decode_recording
from mingle.processing.resample import resample
from mingle.processing.tokenizer import Tokenizer
from mingle.talker.prompt import Layout, Script, lay_out
from mingle.talker.speech import SpeechConfig
from mingle.training.records import Record

Pixels = Float32[np.ndarray, "3 height width"]


@dataclass(frozen=True, kw_only=True)
class Painting:
    """A picture to paint, and the one it is made from, of the same size; values in [-1, 1].

    `sight`: the latter for the eyes, where the painter's condition sees it.
    """

    pixels: Pixels
    reference: Pixels | None
    glyphs: str
    sight: Patches | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Utterance:
    """Speech to make: the talker's prompt and the sound at the talker's own rate.

    Equal to itself only, so that what is made of it can be remembered.
    """

    layout: Layout
    wave: Float32[np.ndarray, " samples"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """One record, ready. What it does not ask for is None or empty.

    `answers` are (start, end) in the prompt's tokens: each of them is to be predicted.
    """

    name: str
    tokens: int
    prompt: Prompt | None = None
    answers: tuple[tuple[int, int], ...] = ()
    painting: Painting | None = None
    utterance: Utterance | None = None


@dataclass(frozen=True, kw_only=True)
class Preparer:
    """Turns records into examples for one model; the parts it lacks are None."""

    processor: Processor
    painter: PainterConfig | None
    speech: SpeechConfig | None
    talker_tokenizer: Tokenizer | None

    def __call__(self, record: Record) -> Example:
        """Read all media of a record. Raises InputError with the reason when it is of no use."""
        *asked, answer = record.messages
        made = [part for part in answer.parts if not isinstance(part, Text)]
        if not made:
            return self._answer(record)
        if len(made) > 1 or len(answer.parts) > 1:
            raise InputError("an answer is either text, or one picture, or one recording")
        if isinstance(made[0], Image):
            return self._paint(record.name, tuple(asked), made[0].source)
        if isinstance(made[0], Audio):
            return self._speak(record.name, asked, made[0].source)
        raise InputError("an answer holds a film; films cannot be made")

    def _answer(self, record: Record) -> Example:
        prompt, answers = self.processor.prepare_answered(record.messages)
        ends = [_cut(prompt, answer, self.processor.stop_ids) for answer in answers]
        return Example(name=record.name, tokens=len(prompt.ids), prompt=prompt, answers=tuple(ends))

    def _paint(self, name: str, asked: tuple[Message, ...], target: MediaSource) -> Example:
        if self.painter is None:
            raise InputError("a picture is to be made, but this model has no painter")
        condition = self.painter.condition
        read = asked if condition.reads_pictures else tuple(_words_of(one) for one in asked)
        prompt = self.processor.prepare(Request(messages=read))
        if condition.query_place == "thinker":
            tag = self.processor.tokenizer.token_id(self.processor.template.image.patch)
            prompt = append_queries(prompt, condition.query_scales, tag)
        picture = decode_picture(target)
        size = paintable(self.painter, (picture.height, picture.width))
        parts = [part for message in asked for part in message.parts]
        sources = [part.source for part in parts if isinstance(part, Image)]
        words = "".join(part.text for part in parts if isinstance(part, Text))
        painting = Painting(
            pixels=_pixels(target, size),
            reference=_pixels(sources[0], size) if sources else None,
            glyphs=glyph_text(words) if self.painter.glyph is not None else "",
            sight=self._sight(sources[0], size) if sources and condition.sight_dim else None,
        )
        return Example(name=name, tokens=len(prompt.ids), prompt=prompt, painting=painting)

    def _sight(self, source: MediaSource, size: tuple[int, int]) -> Patches:
        """The picture as it stands on the canvas, cut for the eyes."""
        height, width = size
        return prepare_picture(decode_picture(source).resize((width, height)), self.processor.image)

    def _speak(self, name: str, asked: Sequence[Message], target: MediaSource) -> Example:
        if self.speech is None or self.talker_tokenizer is None:
            raise InputError("speech is to be made, but this model has no talker")
        parts = [part for message in asked for part in message.parts]
        if any(not isinstance(part, Text) for part in parts):
            raise InputError("speech is made from text alone, but the question holds media")
        words = "".join(part.text for part in parts if isinstance(part, Text))
        tokenizer = self.talker_tokenizer
        layout = lay_out(Script(text=words), _with_control(tokenizer), tokenizer.encode)
        recording = decode_recording(target)
        rate = self.speech.sample_rate_hz
        wave = resample(recording.samples, recording.sample_rate_hz, rate)
        whole = -(-len(wave) // self.speech.patch_samples) * self.speech.patch_samples
        wave = np.pad(wave, (0, whole - len(wave))).astype(np.float32)
        tokens = len(layout.ids) + whole // self.speech.patch_samples
        return Example(name=name, tokens=tokens, utterance=Utterance(layout=layout, wave=wave))


def _pixels(source: MediaSource, size: tuple[int, int]) -> Pixels:
    height, width = size
    picture = decode_picture(source)
    if picture.size != (width, height):
        picture = picture.resize((width, height))
    return (np.asarray(picture, dtype=np.float32) / 127.5 - 1).transpose(2, 0, 1).copy()


def _cut(prompt: Prompt, answer: tuple[int, int], stop_ids: Sequence[int]) -> tuple[int, int]:
    """Up to and with the first stop token: what a template writes behind it nobody says."""
    start, end = answer
    stops = np.flatnonzero(np.isin(prompt.ids[start:end], stop_ids))
    return start, start + int(stops[0]) + 1 if len(stops) else end


def _with_control(tokenizer: Tokenizer):
    """Encode a template's text: special tokens in it become themselves."""

    def encode(markup: str) -> list[int]:
        pieces = tokenizer.split_special(markup)
        special = [[tokenizer.token_id(p)] if i % 2 else [] for i, p in enumerate(pieces)]
        plain = [[] if i % 2 else tokenizer.encode(p) for i, p in enumerate(pieces)]
        return [id_ for pair in zip(special, plain, strict=True) for ids in pair for id_ in ids]

    return encode


def _words_of(message: Message) -> Message:
    """The message without its pictures."""
    words = tuple(part for part in message.parts if not isinstance(part, Image))
    return replace(message, parts=words)
