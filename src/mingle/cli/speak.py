"""`mingle speak TEXT`: text to speech, sound or music, into a file or a pipe."""

import argparse
import codecs
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from mingle.cli import print_json
from mingle.cli.options import add_model_arguments, load_assistant
from mingle.errors import CapacityError, InputError

if TYPE_CHECKING:
    from mingle.engine.speak import SpeakOptions
    from mingle.engine.speech import Speech
    from mingle.messages import SpeechChunk
    from mingle.talker.voice import Voice

PLAYERS = (
    ("aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r"),
    ("pacat", "--playback", "--format=s16le", "--channels=1", "--rate"),
    ("ffplay", "-loglevel", "quiet", "-nodisp", "-autoexit", "-f", "s16le", "-i", "-", "-ar"),
    ("play", "-q", "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-", "-r"),
)
"""Programs that play raw samples from their input; the rate comes last."""

LIMITS = (("rate", 8000, 192000), ("steps", 1, 1000), ("seconds", 0.1, 3600), ("seed", 0, 2**32))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to say, who says it and how, where it goes."""
    parser.add_argument("text", nargs="*", help='what to say; "-" reads standard input as it comes')
    parser.add_argument("-f", "--file", type=Path, help="speak a text file")
    parser.add_argument(
        "-o", "--output", type=Path, help="wav, flac, mp3, opus, aac or pcm by its name"
    )
    parser.add_argument(
        "--stream", action="store_true", help="raw 16-bit samples to the pipe, or play"
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted --output")
    voice = parser.add_argument_group("who speaks")
    voice.add_argument("--voice", action="append", help="a preset; several ones for --dialogue")
    voice.add_argument("--clone", action="append", metavar="FILE", help="speak like a recording")
    voice.add_argument("--clone-text", help="what the recording says: the clone gets closer")
    style = parser.add_argument_group("how")
    style.add_argument("--style", help="in free words: a calm, deep voice that tells a fairy tale")
    style.add_argument("--emotion", help="happy, sad, angry, ...")
    style.add_argument("--dialect", help="cantonese, sichuanese, ...")
    style.add_argument("--speed", help="slow, medium or fast; nano also takes a factor: 0.9")
    style.add_argument("--pitch", help="low, medium or high, or a factor")
    style.add_argument("--volume", help="low, medium or high, or a factor")
    other = parser.add_argument_group("other sound")
    other.add_argument("--sound", action="store_true", help="the text describes a sound")
    other.add_argument("--music", metavar="GENRE", help="make music of this kind")
    other.add_argument("--mood", default="calm")
    other.add_argument("--instrument", default="piano")
    other.add_argument("--theme", default="nature")
    other.add_argument("--seconds", type=float, help="at most so long (sound: 10, music: 60)")
    other.add_argument(
        "--dialogue", action="store_true", help='lines such as "1: Hello" and "2: Hi"'
    )
    drawn = parser.add_argument_group("how it is drawn")
    drawn.add_argument("--rate", type=int, help="samples a second (default: the model's own)")
    drawn.add_argument("--seed", type=int, default=0, help="the same seed gives the same sound")
    drawn.add_argument(
        "--steps", type=int, help="steps of the flow head (default: the model's own)"
    )
    drawn.add_argument(
        "--guidance", type=float, help="how closely to follow the text (2; sound 4.5)"
    )
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Speak. Prints where it went, or the JSON object that --json promises."""
    _check(args)
    speech = load_assistant(args).speech
    if args.stream:
        _stream(_chunks(args, speech))
        return
    file = args.output or Path("speech.wav")
    written, voice = _write(args, speech, file)
    told = {
        "file": str(written.file),
        "seconds": round(written.seconds, 3),
        "sample_rate": written.sample_rate_hz,
        "voice": voice,
    }
    if args.json:
        print_json(told)
    else:
        print(f"{told['file']}: {told['seconds']} s at {told['sample_rate']} Hz, voice {voice}")


def _write(args: argparse.Namespace, speech: "Speech", file: Path) -> tuple[Any, str]:
    """Into a file, with a progress bar where the text is known and long."""
    from mingle.engine.chapter import Chapter, count_pieces, write_chapter, write_speech

    options = _options(args)
    plain = not (args.sound or args.music or args.dialogue)
    text = _text(args) if plain else None
    total = count_pieces(text, options) if isinstance(text, str) else None
    quiet = total is not None and total < 3
    with tqdm(total=total, unit="piece", file=sys.stderr, disable=quiet) as bar:
        if plain and args.resume:
            if not isinstance(text, str):
                raise InputError("--resume needs the whole text: give it as --file")
            voice = _voice(args, speech)
            chapter = Chapter(text=text, voice=voice, style=_style(args), options=options)
            written = write_chapter(speech.speaker, chapter, file, on_piece=bar.update)
            return written, voice.name
        with closing(_chunks(args, speech, text)) as chunks:
            written = write_speech(chunks, file, on_piece=bar.update)
    return written, _voice(args, speech).name


def _chunks(
    args: argparse.Namespace, speech: "Speech", text: str | Iterable[str] | None = None
) -> "Generator[SpeechChunk, None, None]":
    """The sound that is asked for, as it is made."""
    speaker, options = speech.speaker, _options(args)
    if args.music:
        return speaker.music(
            genre=args.music,
            mood=args.mood,
            instrument=args.instrument,
            theme=args.theme,
            seconds=round(args.seconds or 60),
            options=options,
        )
    text = _text(args) if text is None else text
    if args.sound:
        caption = text if isinstance(text, str) else "".join(text).strip()
        return speaker.sound(caption, seconds=args.seconds or 10.0, options=options)
    voice = _voice(args, speech)
    if args.dialogue:
        lines = _lines(text if isinstance(text, str) else "".join(text))
        return speaker.dialogue(lines, voice=voice, seconds=args.seconds or 300.0, options=options)
    return speaker.speak(text, voice=voice, style=_style(args), options=options)


def _voice(args: argparse.Namespace, speech: "Speech") -> "Voice":
    from mingle.talker.voice import NOBODY, cast

    if args.sound or args.music:
        return NOBODY
    if args.clone and args.dialogue:
        return cast([speech.voices.clone([one], name=one) for one in args.clone])
    if args.clone:
        return speech.voices.clone(args.clone, transcript=args.clone_text)
    if args.dialogue:
        return cast([speech.voice(name) for name in args.voice or ()])
    return speech.voice(args.voice[0] if args.voice else None)


def _style(args: argparse.Namespace) -> Any:
    from mingle.talker.instruction import Style

    return Style(
        description=args.style,
        emotion=args.emotion,
        dialect=args.dialect,
        speed=args.speed,
        pitch=args.pitch,
        volume=args.volume,
    )


def _options(args: argparse.Namespace) -> "SpeakOptions":
    from dataclasses import replace

    from mingle.engine.speak import SOUND_OPTIONS, SpeakOptions

    options = SOUND_OPTIONS if args.sound else SpeakOptions()
    if args.guidance is not None:
        options = replace(options, guidance=args.guidance)
    return replace(options, sample_rate_hz=args.rate, seed=args.seed, steps=args.steps)


def _text(args: argparse.Namespace) -> str | Iterator[str]:
    """The text, or standard input as it comes."""
    if args.file is not None:
        try:
            return args.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{args.file} cannot be read as UTF-8 text: {error}") from error
    return _standard_input() if args.text == ["-"] else " ".join(args.text)


def _standard_input() -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while block := os.read(sys.stdin.fileno(), 4096):
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines of "1: Hello". Raises InputError for one that names no speaker."""
    lines = []
    for line in filter(str.strip, text.splitlines()):
        speaker, colon, words = line.partition(":")
        if not colon or not speaker.strip().isdecimal():
            raise InputError(f"line {line!r} names no speaker; expected such as '1: Hello'")
        lines.append((int(speaker), words.strip()))
    return lines


def _stream(chunks: "Generator[SpeechChunk, None, None]") -> None:
    """Raw samples to the pipe, or to a player where the output is a terminal."""
    from mingle.engine.ahead import work_ahead

    with closing(work_ahead(chunks)) as ahead:
        if not sys.stdout.isatty():
            _send(ahead, sys.stdout.buffer)
            return
        first = next(ahead)
        player = next((one for one in PLAYERS if shutil.which(one[0])), None)
        if player is None:
            names = ", ".join(one[0] for one in PLAYERS)
            raise CapacityError(f"no player is installed ({names}); use --output, or a pipe")
        command = [*player, str(first.sample_rate_hz)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as playing:
            assert playing.stdin is not None
            _send([first], playing.stdin)
            _send(ahead, playing.stdin)


def _send(chunks: "Iterable[SpeechChunk]", target: Any) -> None:
    import numpy as np

    for chunk in chunks:
        samples = np.clip(chunk.samples, -1.0, 1.0) * 32767
        target.write(samples.astype("<i2").tobytes())
        target.flush()


def _check(args: argparse.Namespace) -> None:
    """Refuse what contradicts itself or cannot be, before anything is loaded."""
    from mingle.processing.sound_file import format_of

    if sum((bool(args.text), args.file is not None, bool(args.music))) != 1:
        raise InputError("say what to speak: a text, --file FILE, or --music GENRE; one of them")
    contradictions = {
        "--stream and --output: give one of them": args.stream and args.output,
        "--clone-text belongs to --clone FILE": args.clone_text and not args.clone,
        "--voice and --clone: give one of them": args.clone and args.voice,
    }
    for message, found in contradictions.items():
        if found:
            raise InputError(message)
    for name, least, most in LIMITS:
        value = getattr(args, name)
        if value is not None and not least <= value <= most:
            raise InputError(f"--{name} is {value}; expected {least} to {most}")
    missing = [file for file in args.clone or () if not Path(file).is_file()]
    if missing:
        raise InputError(f"there is no recording {missing[0]}")
    if args.output is not None:
        format_of(args.output)
        if not args.output.absolute().parent.is_dir():
            raise InputError(f"there is no folder {args.output.parent} to write into")
