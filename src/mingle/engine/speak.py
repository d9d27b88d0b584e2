"""Text in, speech out, while the text is still coming."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from mingle.engine.script_reading import OWN, AlignedReader, Manner, PromptReader, Reader
from mingle.errors import InputError
from mingle.messages import SpeechChunk
from mingle.processing.stream_resample import StreamResampler
from mingle.processing.tokenizer import Tokenizer
from mingle.talker.codec import LinearCodec
from mingle.talker.flow_head import FlowOptions, PatchNoise, draw_noise
from mingle.talker.instruction import Style, dialogue_text, music_text
from mingle.talker.model import LoopOptions
from mingle.talker.prompt import MUSIC, SOUND, Script
from mingle.talker.silence import SilenceGate
from mingle.talker.speech import SpeechModel
from mingle.talker.text.front import Spoken, pieces
from mingle.talker.text.marks import is_spoken
from mingle.talker.text.phones import Pronouncer
from mingle.talker.voice import NEUTRAL, NOBODY, Voice

SLOWEST = 16000 / 5818  # characters a second: slower speech is taken for babble and ended
SURE_S = 2.0  # nothing is called slow before this
GUIDANCE = 2.0  # the released talker's
LONGEST_TEXT = 1_000_000  # characters of one text


@dataclass(frozen=True, kw_only=True)
class SpeakOptions:
    """How speech is drawn. Rate None is the model's own; steps None what it was made for."""

    sample_rate_hz: int | None = None
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    """How closely the text is followed; None is the talker's own."""
    sigma: float = 0.25
    temperature: float = 0.0
    piece_units: int = 50
    """Most Chinese characters or words of a piece that is spoken in one go."""


SOUND_OPTIONS = SpeakOptions(guidance=4.5, sigma=0.3, temperature=2.5)
"""As the released talker makes sounds that are no speech."""


class Speaker:
    """A talker, ready to speak. Holds no state between calls; safe to share among threads."""

    def __init__(self, model: SpeechModel, words: Tokenizer | Pronouncer):
        self.model = model
        self.reader: Reader
        if isinstance(words, Pronouncer):
            self.reader = AlignedReader(model, words)
        else:
            self.reader = PromptReader(model, words)
        self.patch_s = model.config.patch_samples / model.config.sample_rate_hz

    def speak(
        self,
        text: str | Iterable[str],
        *,
        voice: Voice = NOBODY,
        style: Style | None = None,
        options: SpeakOptions | None = None,
        first_piece: int = 0,
    ) -> Generator[SpeechChunk, None, None]:
        """Speak a text, or text that arrives bit by bit; sound comes as it is made.

        Closing the generator ends the work within one patch. A voice without a recording is
        carried on from the first piece to the next ones. `first_piece` skips pieces that were
        spoken before. Raises InputError if there is nothing to say.
        """
        options, style = options or SpeakOptions(), style or Style()
        manner = self.reader.manner(style)
        instruction = None if self.reader.plain else style.instruction()
        if voice is NOBODY and style.description:
            voice = NEUTRAL
        track = _Track(self.model.config.sample_rate_hz, options.sample_rate_hz)
        spoken = 0
        for spoken, piece in enumerate(pieces(checked(text), limit=options.piece_units), start=1):
            skipped = spoken <= first_piece
            if skipped and (spoken > 1 or voice.latents is not None):
                continue  # the first piece is needed where it gives the others their voice
            script = Script(text=piece.said, instruction=instruction)
            drawn: list[torch.Tensor] = []
            slowest_s = max(SURE_S, len(piece.said) / SLOWEST)
            job = _Piece(
                script=script,
                voice=voice,
                options=options,
                number=spoken,
                limit_s=float("inf") if self.reader.plain else slowest_s,
                manner=manner,
            )
            for samples in self._piece(job, drawn):
                if not skipped:
                    yield from track.chunks(samples, piece)
            if voice.latents is None and drawn:
                voice = replace(voice, latents=torch.cat(drawn), transcript=piece.said)
        if not spoken:
            raise InputError("there is nothing to say: the text has no letters and no digits")
        yield from track.finish()

    def sound(
        self, caption: str, *, seconds: float = 10.0, options: SpeakOptions = SOUND_OPTIONS
    ) -> Generator[SpeechChunk, None, None]:
        """Make the sound that a caption describes: "a dog barks in the distance"."""
        yield from self._whole(Script(task=SOUND, text=caption), NOBODY, options, seconds)

    def music(
        self,
        *,
        genre: str,
        mood: str,
        instrument: str,
        theme: str,
        seconds: int = 60,
        options: SpeakOptions | None = None,
    ) -> Generator[SpeechChunk, None, None]:
        """Make music of a kind."""
        text = music_text(
            genre=genre, mood=mood, instrument=instrument, theme=theme, seconds=seconds
        )
        script = Script(task=MUSIC, text=text)
        yield from self._whole(script, NOBODY, options or SpeakOptions(), float(seconds))

    def dialogue(
        self,
        lines: list[tuple[int, str]],
        *,
        voice: Voice,
        seconds: float = 300.0,
        options: SpeakOptions | None = None,
    ) -> Generator[SpeechChunk, None, None]:
        """A conversation: lines of (speaker counted from 1, words); `voice` is a cast of them."""
        strangers = [speaker for speaker, _ in lines if not 1 <= speaker <= voice.num_speakers]
        if strangers:
            raise InputError(
                f"speaker {strangers[0]} speaks, but there are {voice.num_speakers} voices"
            )
        script = Script(text=dialogue_text(lines))
        yield from self._whole(script, voice, options or SpeakOptions(), seconds)

    def _whole(
        self, script: Script, voice: Voice, options: SpeakOptions, seconds: float
    ) -> Generator[SpeechChunk, None, None]:
        """Everything in one go, for at most so many seconds."""
        if self.reader.plain:
            raise InputError("this voice speaks plain text; it makes no sounds, music or dialogue")
        if not is_spoken(script.text):
            raise InputError("there is nothing to make: the description is empty")
        track = _Track(self.model.config.sample_rate_hz, options.sample_rate_hz)
        piece = Spoken(written=script.text, said=script.text)
        job = _Piece(
            script=script, voice=voice, options=options, number=1, limit_s=seconds, manner=OWN
        )
        for samples in self._piece(job, []):
            yield from track.chunks(samples, piece)
        yield from track.finish()

    def _piece(
        self, piece: "_Piece", drawn: list[torch.Tensor]
    ) -> Iterator[Float32[np.ndarray, " samples"]]:
        """Sound of one script, gated, patch by patch; `drawn` collects its latents."""
        talker, vae, options = self.model.talker, self.model.vae, piece.options
        flow = self._flow(options)
        generator = torch.Generator().manual_seed((options.seed << 20) + piece.number)

        def noise(step: int) -> PatchNoise:
            return draw_noise(talker.config.flow, flow.steps, generator, talker.like)

        manner = replace(piece.manner, volume=piece.manner.volume * piece.voice.volume)
        gate = SilenceGate(sample_rate_hz=vae.config.sample_rate_hz)
        state, held, heard = None, None, 0
        least = 0 if self.reader.plain else LoopOptions(flow=flow).min_patches
        patches = self.reader.patches(piece.script, piece.voice, piece.manner, flow, noise)
        for patch in patches:
            drawn.append(patch.latents)
            over = len(drawn) >= least and heard / gate.sample_rate_hz >= piece.limit_s
            last = patch.last or over
            with torch.no_grad():
                wave, state = self._decode(patch.latents, state, last, manner)
                passed, held = gate(wave, held, last=last)
            heard += passed.shape[0]
            if passed.shape[0]:
                yield passed.float().cpu().numpy()
            if last:
                return

    def _flow(self, options: SpeakOptions) -> FlowOptions:
        config = self.model.talker.config
        own = GUIDANCE if config.aligned is None else config.aligned.guidance
        return FlowOptions(
            steps=options.steps or config.steps,
            guidance=own if options.guidance is None else options.guidance,
            sigma=options.sigma,
            temperature=options.temperature,
        )

    def _decode(
        self, latents: torch.Tensor, state: Any, last: bool, manner: Manner
    ) -> tuple[torch.Tensor, Any]:
        """The next samples, at the pitch and loudness asked for; full scale is never passed."""
        vae = self.model.vae
        if isinstance(vae, LinearCodec):
            wave, after = vae.decode_step(latents, state, last=last, pitch=manner.pitch)
            return (wave * manner.volume).clamp(-1, 1), after
        return vae.decode_step(latents, state, last=last)


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """One script to say, by whom and how; after `limit_s` of sound it is ended."""

    script: Script
    voice: Voice
    options: SpeakOptions
    number: int
    limit_s: float
    manner: Manner


class _Track:
    """Puts pieces one after another at the rate asked for, and tells where each chunk begins."""

    def __init__(self, native_hz: int, rate_hz: int | None):
        self._resampler = StreamResampler(native_hz, rate_hz or native_hz)
        self._given = 0
        self._piece: Spoken | None = None

    def chunks(
        self, samples: Float32[np.ndarray, " samples"], piece: Spoken
    ) -> Iterator[SpeechChunk]:
        """The chunk that these samples complete; a piece's text goes with its first one."""
        text = "" if piece is self._piece else piece.written
        self._piece = piece
        yield from self._chunk(self._resampler.feed(samples), text)

    def finish(self) -> Iterator[SpeechChunk]:
        """What the resampler still held."""
        yield from self._chunk(self._resampler.feed(np.empty(0, np.float32), last=True), "")

    def _chunk(self, samples: Float32[np.ndarray, " samples"], text: str) -> Iterator[SpeechChunk]:
        if not len(samples) and not text:
            return
        rate = self._resampler.target_hz
        start_s = self._given / rate
        self._given += len(samples)
        yield SpeechChunk(samples=samples, sample_rate_hz=rate, start_s=start_s, text=text)


def checked(text: str | Iterable[str]) -> Iterator[str]:
    """The text in deltas, a limit on its length kept. Raises InputError."""
    total = 0
    for delta in [text] if isinstance(text, str) else text:
        total += len(delta)
        if total > LONGEST_TEXT:
            raise InputError(
                f"the text is longer than {LONGEST_TEXT} characters; speak it in several parts"
            )
        yield delta
