"""Long texts into a file: memory stays bounded, and an interrupted one can go on."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np

from mingle.engine.speak import Speaker, SpeakOptions, checked
from mingle.errors import CapacityError, InputError
from mingle.messages import SpeechChunk
from mingle.processing.sound_file import SoundWriter, carried_rate, format_of
from mingle.processing.stream_resample import StreamResampler
from mingle.talker.instruction import Style
from mingle.talker.text.front import pieces
from mingle.talker.voice import NOBODY, Voice

BLOCK = 1 << 16  # samples converted at a time


@dataclass(frozen=True, kw_only=True)
class Written:
    """What stands in the file now."""

    file: Path
    seconds: float
    sample_rate_hz: int


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A long text, who reads it, and how."""

    text: str
    voice: Voice = NOBODY
    style: Style = field(default_factory=Style)
    options: SpeakOptions = field(default_factory=SpeakOptions)

    def fingerprint(self) -> str:
        """Differs where anything differs that can be heard."""
        latents = self.voice.latents
        heard = "" if latents is None else latents.float().cpu().numpy().tobytes().hex()
        told = [
            self.text,
            self.voice.name,
            self.voice.transcript,
            heard,
            asdict(self.style),
            asdict(self.options),
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def write_speech(
    chunks: Iterable[SpeechChunk],
    file: Path,
    on_piece: Callable[[], object] = lambda: None,
) -> Written:
    """Write speech as it comes; the file appears when it is whole. `on_piece` counts pieces."""
    name = format_of(file)
    stream = iter(chunks)
    first = next(stream)  # tells the rate, and raises what is wrong before there is a file
    rate = carried_rate(name, first.sample_rate_hz)
    resampler = StreamResampler(first.sample_rate_hz, rate)
    with SoundWriter(file, name, rate) as writer:
        for chunk in chain((first,), stream):
            writer.write(resampler.feed(chunk.samples))
            if chunk.text:
                on_piece()
        writer.write(resampler.feed(np.empty(0, np.float32), last=True))
    return Written(file=file, seconds=writer.num_samples / rate, sample_rate_hz=rate)


def write_chapter(
    speaker: Speaker, chapter: Chapter, file: Path, on_piece: Callable[[], object] = lambda: None
) -> Written:
    """Like `write_speech`, but what is spoken stays beside the file until all of it is there.

    Called again with an equal chapter it goes on after the last whole piece, and the result is
    the same as without the interruption.
    """
    format_of(file)
    work = _Work(file, chapter.fingerprint())
    done = work.resume()
    for _ in range(done):
        on_piece()
    for chunk in speaker.speak(
        chapter.text,
        voice=chapter.voice,
        style=chapter.style,
        options=replace(chapter.options, sample_rate_hz=None),
        first_piece=done,
    ):
        if chunk.text:
            work.end_piece()
            on_piece()
        work.append(chunk)
    native = speaker.model.config.sample_rate_hz
    rate = chapter.options.sample_rate_hz or native
    written = write_speech(work.read(native, rate), file)
    work.remove()
    return written


def count_pieces(text: str, options: SpeakOptions) -> int:
    """How many pieces a text is spoken in. Raises InputError for none, and for too long a text."""
    count = sum(1 for _ in pieces(checked(text), limit=options.piece_units))
    if not count:
        raise InputError("there is nothing to say: the text has no letters and no digits")
    return count


class _Work:
    """Samples spoken so far (float32), and a journal of how many pieces they are."""

    def __init__(self, file: Path, fingerprint: str):
        self._samples = file.with_name(f".{file.name}.speech")
        self._journal = file.with_name(f".{file.name}.journal")
        self._fingerprint = fingerprint
        self._pieces = -1  # the first piece's beginning ends none

    def resume(self) -> int:
        """Whole pieces that are here already; what lies behind them is cut off."""
        told = {}
        if self._journal.is_file() and self._samples.is_file():
            told = json.loads(self._journal.read_text())
        if told.get("fingerprint") != self._fingerprint:
            with self._writing():
                self._samples.write_bytes(b"")
            return 0
        os.truncate(self._samples, told["bytes"])
        self._pieces = told["pieces"] - 1
        return told["pieces"]

    def append(self, chunk: SpeechChunk) -> None:
        """Keep a chunk."""
        with self._writing(), self._samples.open("ab") as file:
            file.write(np.asarray(chunk.samples, np.float32).tobytes())

    def end_piece(self) -> None:
        """Note that everything so far is whole pieces."""
        self._pieces += 1
        told = {
            "fingerprint": self._fingerprint,
            "pieces": self._pieces,
            "bytes": self._samples.stat().st_size,
        }
        partial = self._journal.with_suffix(".new")
        with self._writing():
            partial.write_text(json.dumps(told))
            os.replace(partial, self._journal)

    @contextlib.contextmanager
    def _writing(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            raise CapacityError(
                f"{self._samples} cannot be written: {error.strerror}; make room and run the same "
                "command again: it goes on after the last whole piece"
            ) from error

    def read(self, native_hz: int, rate_hz: int) -> Iterator[SpeechChunk]:
        """Everything, at the rate asked for."""
        resampler = StreamResampler(native_hz, rate_hz)
        with self._samples.open("rb") as file:
            while block := file.read(4 * BLOCK):
                samples = resampler.feed(np.frombuffer(block, np.float32))
                yield SpeechChunk(samples=samples, sample_rate_hz=rate_hz, start_s=0.0)
        rest = resampler.feed(np.empty(0, np.float32), last=True)
        yield SpeechChunk(samples=rest, sample_rate_hz=rate_hz, start_s=0.0)

    def remove(self) -> None:
        """The file is whole: forget the rest."""
        self._samples.unlink()
        self._journal.unlink(missing_ok=True)
