"""Free synthetic voices: flite and espeak-ng, with speed and pitch under control.

The programs are Debian's `flite` (permissive licence) and `espeak-ng` (GPL; only its sound is
used). Every voice is a declared class: accents are espeak's rules, not people.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float32

from mingle.errors import CapacityError

SAMPLE_RATE = 16_000  # Hz, of everything this file returns


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One synthetic speaker: the program, its voice's name, the accent it declares."""

    name: str
    program: str
    code: str
    accent: str


VOICES = (
    Voice(name="slt", program="flite", code="slt", accent="american"),
    Voice(name="rms", program="flite", code="rms", accent="american"),
    Voice(name="awb", program="flite", code="awb", accent="scottish"),
    Voice(name="kal16", program="flite", code="kal16", accent="american"),
    *(
        Voice(name=f"{short}-{variant}", program="espeak-ng", code=f"{code}+{variant}", accent=word)
        for short, code, word in (
            ("us", "en-us", "american"),
            ("gb", "en-gb", "british"),
            ("rp", "en-gb-x-rp", "received"),
            ("sc", "en-gb-scotland", "scottish"),
            ("lan", "en-gb-x-gbclan", "lancashire"),
            ("mid", "en-gb-x-gbcwmd", "midlands"),
            ("car", "en-029", "caribbean"),
            ("nyc", "en-us-nyc", "new york"),
        )
        for variant in ("m1", "m3", "m5", "m7", "f1", "f2", "f3", "f4")
    ),
)
HELD_OUT_VOICES = frozenset({"rp-m7", "us-f4", "sc-f3", "lan-m1"})
FLITE = tuple(voice for voice in VOICES if voice.program == "flite")
UNHEARD = tuple(voice for voice in VOICES if voice.name in HELD_OUT_VOICES)  # no training uses them


@dataclass(frozen=True, kw_only=True)
class Phone:
    """One phone and where it ends, in seconds from the start of the recording."""

    name: str
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A spoken sentence. `phones` is empty for programs that do not tell them."""

    text: str
    voice: Voice
    samples: Float32[np.ndarray, " samples"]
    phones: tuple[Phone, ...] = ()


def synthesise(text: str, voice: Voice, *, speed: float = 1.0, pitch: float = 1.0) -> Utterance:
    """Speak `text` at `speed` times the voice's own rate and `pitch` times its own pitch.

    Returns 16 kHz mono in [-1, 1]. Raises CapacityError when the program is not installed.
    """
    if voice.program == "flite":
        return _flite(text, voice, speed, pitch)
    return _espeak(text, voice, speed, pitch)


def _flite(text: str, voice: Voice, speed: float, pitch: float) -> Utterance:
    stretch = f"duration_stretch={pitch / speed:.4f}"  # the change of pitch shortens again
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice.code, "--setf", stretch, "-psdur", "-o", str(path)]
        told = run_program([*command, "-t", text])
        samples = _read_wav(path.read_bytes())
    phones = tuple(
        Phone(name=name, end_s=float(end) / pitch)
        for name, end in re.findall(r"(\w+):([\d.]+)", told.decode("ascii"))
    )
    return Utterance(text=text, voice=voice, samples=_resample(samples, pitch), phones=phones)


def _espeak(text: str, voice: Voice, speed: float, pitch: float) -> Utterance:
    rate = str(round(165 * speed))  # words a minute
    height = str(min(99, max(0, round(50 + 60 * np.log2(pitch)))))  # espeak's own scale
    command = ["espeak-ng", "-v", voice.code, "-s", rate, "-p", height, "--stdout", "--", text]
    samples = _resample(_read_wav(run_program(command)), 22_050 / SAMPLE_RATE)
    return Utterance(text=text, voice=voice, samples=samples)


def run_program(command: list[str]) -> bytes:
    """What a program writes. Raises CapacityError when it is not installed."""
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except FileNotFoundError:
        name = command[0]
        raise CapacityError(
            f"the program {name} is not installed; install Debian's {name}"
        ) from None


def _read_wav(data: bytes) -> Float32[np.ndarray, " samples"]:
    """16-bit samples behind a RIFF header of 44 bytes (espeak's streamed header has no length)."""
    return np.frombuffer(data, dtype="<i2", offset=44).astype(np.float32) / 32768


def _resample(samples: Float32[np.ndarray, " before"], ratio: float) -> np.ndarray:
    """Play `ratio` times as fast: shorter by it, and higher by it at the same rate."""
    if ratio == 1.0:
        return samples
    import soxr

    return soxr.resample(samples, SAMPLE_RATE * ratio, SAMPLE_RATE).astype(np.float32)
