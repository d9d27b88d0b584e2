"""Request -> Prompt: token ids, where media sit among them, and the media as arrays."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from mingle.errors import InputError
from mingle.messages import Message, Part, Request, Span, Text, is_media
from mingle.processing.audio import AudioSettings
from mingle.processing.chat import ChatTemplate, PromptWriter
from mingle.processing.image import ImageSettings, Patches
from mingle.processing.reading import LetterReader
from mingle.processing.ready import LogMel, MediaSettings, ready
from mingle.processing.reasoning import ReasoningSplitter
from mingle.processing.tokenizer import StreamDecoder, Tokenizer
from mingle.processing.video import Film, VideoSettings

__all__ = ["Patches", "Processor", "Prompt"]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a model reads. Spans are in token order; span.item indexes the list of its kind."""

    ids: Int64[np.ndarray, " tokens"]
    spans: tuple[Span, ...]
    images: tuple[Patches, ...] = ()
    frames: tuple[Patches, ...] = ()
    recordings: tuple[Float32[np.ndarray, "_ mels"], ...] = ()  # each of its own length
    behind_media: bool = False
    """Whether it continues a prompt that held media."""


@dataclass(frozen=True, kw_only=True)
class Processor:
    """All that a family needs to read a request: words, template, and what its media look like.

    Holds no state: each request is prepared alone, so requests cannot touch each other.
    """

    tokenizer: Tokenizer
    template: ChatTemplate
    image: ImageSettings
    video: VideoSettings | None
    """None: the model's family reads no films."""
    audio: AudioSettings
    context_tokens: int
    reader: LetterReader | None = None
    """For models that hear by reading letters; None: the thinker reads the tower's embeddings."""
    reads_beside_pictures: bool = True
    """Whether a reader reads what is asked by voice in conversations with pictures or films too; if
    not, the thinker gets embeddings there."""

    def reads(self, *, shown: bool) -> bool:
        """Whether words stand for what is asked by voice, where something is `shown` or not."""
        return self.reader is not None and (self.reads_beside_pictures or not shown)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """The tokens that end an answer."""
        return tuple(self.tokenizer.token_id(token) for token in self.template.stop)

    @property
    def media(self) -> MediaSettings:
        """What makes media ready (`mingle.processing.ready`)."""
        return MediaSettings(image=self.image, video=self.video, audio=self.audio)

    def decoder(self) -> StreamDecoder:
        """A new decoder for one answer's tokens."""
        return StreamDecoder(self.tokenizer)

    def splitter(self) -> ReasoningSplitter:
        """A new splitter that tells one answer's thoughts from the answer."""
        return ReasoningSplitter(self.template.reasoning)

    def prepare(self, request: Request) -> Prompt:
        """Write the prompt of one request and read its media.

        Raises InputError for a conversation out of order, for media that cannot be used, for a
        prompt that leaves no room to answer in the model's context, and for thinking where the
        model knows none.
        """
        if request.thinking and self.template.thinking_on == self.template.thinking_off:
            raise InputError("this model cannot think before it answers; ask it without thinking")
        writer, media = PromptWriter(self.tokenizer), _Media()
        self._write_turns(writer, media, _in_order(request.messages), request.thinking)
        writer.markup(self.template.assistant)
        writer.boundary()
        writer.text(request.prefill)
        return self._finished(writer, media)

    def prepare_answered(
        self, messages: tuple[Message, ...]
    ) -> tuple[Prompt, tuple[tuple[int, int], ...]]:
        """A conversation that ends with its answer, for training.

        Also gives where each answer begins and ends in it, the token that ends it included. The
        prompt up to an answer is what `prepare` gives. Raises InputError as `prepare` does.
        """
        asked = _in_order(messages[:-1])
        answered = asked[0], (*asked[1], messages[-1])
        writer, media = PromptWriter(self.tokenizer), _Media()
        answers = self._write_turns(writer, media, answered, thinking=False)
        return self._finished(writer, media), answers

    def _write_turns(
        self,
        writer: PromptWriter,
        media: "_Media",
        conversation: tuple[Message | None, tuple[Message, ...]],
        thinking: bool,
    ) -> tuple[tuple[int, int], ...]:
        """Write the system message and the turns; where the answers among them stand."""
        system, turns = conversation
        template = self.template
        writer.markup(template.system)
        if system is None:
            writer.markup(template.default_system)
        else:
            self._write_parts(writer, media, system.parts)
        writer.markup(template.thinking_on if thinking else template.thinking_off)
        writer.markup(template.turn_end)
        answers: list[tuple[int, int]] = []
        for turn in turns:
            writer.markup(template.user if turn.role == "user" else template.assistant)
            start = writer.boundary() if turn.role == "assistant" else None  # as when generated
            self._write_parts(writer, media, turn.parts)
            writer.markup(template.turn_end)
            if start is not None:
                answers.append((start, writer.boundary()))
        return tuple(answers)

    def _finished(self, writer: PromptWriter, media: "_Media") -> Prompt:
        ids, spans = writer.finish()
        prompt = Prompt(
            ids=ids,
            spans=spans,
            images=tuple(media.images),
            frames=tuple(media.frames),
            recordings=tuple(media.recordings),
        )
        self.check(prompt)
        return prompt

    def check(self, prompt: Prompt) -> None:
        """Compare every span with the features that fill it, and the length with the context.

        Raises InputError at the first mismatch.
        """
        for number, span in enumerate(prompt.spans):
            if span.kind == "query":
                continue
            features = self._span_tokens(prompt, span)
            if span.length != features:
                raise InputError(
                    f"{span.kind} span {number} has {span.length} placeholders but its features "
                    f"fill {features}; prepare the request again"
                )
        if len(prompt.ids) >= self.context_tokens:
            raise InputError(
                f"the prompt has {len(prompt.ids)} tokens, the model's context "
                f"{self.context_tokens}; shorten the text, or send fewer, smaller or shorter media"
            )

    def _span_tokens(self, prompt: Prompt, span: Span) -> int:
        if span.kind == "audio":
            return self.audio.tokens(len(prompt.recordings[span.item]))
        patches = (prompt.images if span.kind == "image" else prompt.frames)[span.item]
        return len(patches.values) // self.image.merge**2

    def _write_parts(self, writer: PromptWriter, media: "_Media", parts: tuple[Part, ...]) -> None:
        if self.template.words_first:
            parts = tuple(sorted(parts, key=is_media))  # stable: words, then media, in their order
        settings = self.media
        for part in parts:
            if isinstance(part, Text):
                writer.text(part.text)
                continue
            made = ready(part, settings)
            assert not isinstance(made, Text)
            source: Patches | Film | LogMel = made.source
            if isinstance(source, Patches):
                self._write_image(writer, media, source)
            elif isinstance(source, Film):
                self._write_film(writer, media, source)
            else:
                self._write_recording(writer, media, source)

    def _write_recording(self, writer: PromptWriter, media: "_Media", heard: LogMel) -> None:
        tokens = self.audio.tokens(len(heard.frames))
        item = len(media.recordings)
        writer.medium(self.template.audio, "audio", item=item, tokens=tokens)
        media.recordings.append(heard.frames)

    def _write_image(self, writer: PromptWriter, media: "_Media", patches: Patches) -> None:
        grid = self._token_grid(patches)
        item = len(media.images)
        tokens = grid[1] * grid[2]
        writer.medium(self.template.image, "image", item=item, tokens=tokens, grid=grid)
        media.images.append(patches)

    def _write_film(self, writer: PromptWriter, media: "_Media", film: Film) -> None:
        writer.markup(self.template.film_start)
        for patches, seconds in zip(film.pairs, film.seconds, strict=True):
            writer.markup(self.template.timestamp.format(seconds=seconds))
            grid = self._token_grid(patches)
            item = len(media.frames)
            tokens = grid[1] * grid[2]
            writer.medium(self.template.frame, "frame", item=item, tokens=tokens, grid=grid)
            media.frames.append(patches)
        writer.markup(self.template.film_end)

    def _token_grid(self, patches: Patches) -> tuple[int, int, int]:
        time, rows, columns = patches.grid
        return time, rows // self.image.merge, columns // self.image.merge


@dataclass
class _Media:
    """What has been read so far, each kind numbered on its own."""

    images: list[Patches] = field(default_factory=list[Patches])
    frames: list[Patches] = field(default_factory=list[Patches])
    recordings: list[np.ndarray[Any, np.dtype[Any]]] = field(default_factory=list[Any])


def _in_order(messages: tuple[Message, ...]) -> tuple[Message | None, tuple[Message, ...]]:
    """The system message, if there is one, and the turns; InputError if they make no sense."""
    system = messages[0] if messages and messages[0].role == "system" else None
    turns = messages[1:] if system else messages
    if any(turn.role == "system" for turn in turns):
        raise InputError("a system message stands among the turns; it must be the first message")
    if system and any(not isinstance(part, Text) for part in system.parts):
        raise InputError("the system message holds media; expected text, send media as the user")
    if not turns or turns[-1].role != "user":
        last = turns[-1].role if turns else "nobody"
        raise InputError(
            f"the conversation ends with {last}; it must end with the user "
            "(to begin the answer yourself, use prefill)"
        )
    return system, turns
