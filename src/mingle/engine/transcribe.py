"""Speech to text: long recordings are cut where speech pauses, the pieces are read together."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from mingle.engine.engine import Engine, Stream
from mingle.engine.listening import Listener
from mingle.engine.reply import collect
from mingle.errors import InputError
from mingle.messages import Audio, MediaSource, Request
from mingle.processing.inputs import Processor
from mingle.processing.reading import expected_words
from mingle.processing.recognition import recognition_request, split_recognition
from mingle.processing.recording import Recording, decode_recording
from mingle.processing.silence import speech_pieces

PIECE_S = 30.0  # longer pieces lose words, shorter ones context
ENGLISH, ENGLISH_NAME = "en", "English"
TOKENS_PER_SECOND = 15  # nobody speaks faster; a recogniser that repeats itself is stopped there


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What is known beforehand; all optional.

    `language` is a code (en, zh), `dialect` a name as the model knows it; `context` says in a few
    words what it is about.
    """

    language: str | None = None
    dialect: str | None = None
    context: str | None = None
    hotwords: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What was said from `start` to `end`, in seconds; `language` as the model named it."""

    start: float
    end: float
    text: str
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """All that was said. `language` is a code where one is known; both may be empty."""

    text: str
    language: str
    dialect: str
    segments: tuple[Segment, ...]

    def __str__(self) -> str:
        return self.text


def segments(
    engine: Engine, processor: Processor, source: MediaSource, hints: Hints
) -> Iterator[Segment]:
    """The segments in order, each as soon as it is known; several are read at once.

    Raises InputError for unusable sound.
    """
    recording = decode_recording(source)
    longest = min(PIECE_S, processor.audio.max_seconds)
    pieces = speech_pieces(recording.samples, recording.sample_rate_hz, max_seconds=longest)
    if engine.listener is not None:
        yield from read_segments(engine.listener, recording, pieces, hints)
        return
    requests = ((piece, _request(recording, piece, hints, processor)) for piece in pieces)
    under_way: deque[tuple[tuple[int, int], Request, Stream]] = deque()
    try:
        while True:
            room = engine.limits.max_requests - len(under_way)
            for piece, request in islice(requests, room):
                under_way.append((piece, request, engine.submit(request)))
            if not under_way:
                return
            (start, end), request, stream = under_way.popleft()
            answer = request.prefill + collect(stream).text
            language, text = split_recognition(answer, processor.template.recognition)
            rate = recording.sample_rate_hz
            yield Segment(start=start / rate, end=end / rate, text=text, language=language)
    finally:
        for _, _, stream in under_way:
            stream.cancel()


def read_segments(
    listener: Listener, recording: Recording, pieces: Sequence[tuple[int, int]], hints: Hints
) -> Iterator[Segment]:
    """Segments as the ears read them. Raises InputError for hints that they cannot use."""
    if (hints.language or ENGLISH) != ENGLISH or hints.dialect:
        raise InputError(
            "this model's ears read English; found "
            f"{hints.dialect or hints.language!r}: leave language and dialect out"
        )
    told = (*hints.hotwords, hints.context or "")
    expected = expected_words(told, listener.reader.alphabet)
    for start, end in pieces:
        part = replace(recording, samples=recording.samples[start:end])
        (reading,) = listener.read(Audio(source=part), expected)
        rate = recording.sample_rate_hz
        yield Segment(start=start / rate, end=end / rate, text=reading.text, language=ENGLISH_NAME)


def transcript(said: Sequence[Segment], hints: Hints, processor: Processor) -> Transcript:
    """Join segments; the language is the one that most of them are in."""
    names = Counter(segment.language for segment in said if segment.language)
    name = names.most_common(1)[0][0] if names else ""
    codes = {name: code for code, name in processor.template.recognition.languages.items()}
    named_dialect = name if name and name not in codes else ""
    return Transcript(
        text=join_texts([segment.text for segment in said]),
        language=codes.get(name) or hints.language or "",
        dialect=hints.dialect or named_dialect,
        segments=tuple(segment for segment in said if segment.text),
    )


def join_texts(texts: Sequence[str]) -> str:
    """One text; scripts that write no spaces between words get none at the joints."""
    joined = ""
    for text in filter(None, texts):
        spaced = joined and joined[-1].isascii() and text[0].isascii()
        joined += f" {text}" if spaced else text
    return joined


def _request(
    recording: Recording, piece: tuple[int, int], hints: Hints, processor: Processor
) -> Request:
    start, end = piece
    part = replace(recording, samples=recording.samples[start:end])
    request = recognition_request(
        part,
        processor.template.recognition,
        language=hints.language or "",
        dialect=hints.dialect or "",
        context=hints.context or "",
        hotwords=hints.hotwords,
    )
    return replace(request, max_new_tokens=32 + round(part.seconds * TOKENS_PER_SECOND))
