"""How a text becomes patches: as a prompt that the talker reads, or laid along its speech."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from mingle.errors import InputError
from mingle.processing.tokenizer import Tokenizer
from mingle.talker.aligned import Timed
from mingle.talker.flow_head import FlowOptions, PatchNoise
from mingle.talker.instruction import Style
from mingle.talker.model import LoopOptions, Patch
from mingle.talker.prompt import Script, embed, lay_out
from mingle.talker.speech import SpeechModel
from mingle.talker.text.phones import Pronouncer
from mingle.talker.voice import Voice

Noise = Callable[[int], PatchNoise]
SPEEDS = {"slow": 0.8, "medium": 1.0, "fast": 1.25}
PITCHES = {"low": 0.85, "medium": 1.0, "high": 1.18}
VOLUMES = {"low": 0.5, "medium": 1.0, "high": 2.0}
LEAST, MOST = 0.5, 2.0  # what a factor may be


@dataclass(frozen=True, kw_only=True)
class Manner:
    """Factors on the voice's own pace, pitch and loudness, carried out and not only asked for."""

    speed: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0


OWN = Manner()


class Reader(Protocol):
    """One way of reading. `plain`: it says plain sentences only, and ends where they end."""

    plain: bool

    def manner(self, style: Style) -> Manner:
        """What of a style is carried out here; the rest is the script's instruction."""
        ...

    def patches(
        self, script: Script, voice: Voice, manner: Manner, flow: FlowOptions, noise: Noise
    ) -> Iterator[Patch]:
        """The patches of one script."""
        ...


class PromptReader:
    """The released way: text, speakers and style stand before the speech."""

    plain = False

    def __init__(self, model: SpeechModel, tokenizer: Tokenizer):
        self.model, self.tokenizer = model, tokenizer

    def manner(self, style: Style) -> Manner:
        """The talker was trained to follow instructions; nothing is done to its sound."""
        return OWN

    def patches(
        self, script: Script, voice: Voice, manner: Manner, flow: FlowOptions, noise: Noise
    ) -> Iterator[Patch]:
        """Until the talker stops. Raises InputError for what leaves no room to speak."""
        talker, loop = self.model.talker, LoopOptions(flow=flow)
        prompt, latents = self._prompt(script, voice)
        if prompt.shape[0] + loop.min_patches > loop.max_positions:
            raise InputError(
                f"text and recording take {prompt.shape[0]} positions of {loop.max_positions}; "
                "take a shorter recording or smaller pieces"
            )
        return talker.patches(prompt, talker.first_history(latents), loop, noise)

    def _prompt(self, script: Script, voice: Voice) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The embedded prompt, and the latents that the speech goes on from."""
        talker = self.model.talker
        weight = talker.like
        latents = None if voice.latents is None else voice.latents.to(weight)
        patches = weight.new_zeros(0, weight.shape[0])
        if latents is not None and voice.transcript is not None:
            patches = self.model.embed_latents(latents)
        script = replace(
            script,
            num_speakers=voice.num_speakers,
            transcript=voice.transcript,
            num_patches=patches.shape[0],
        )
        layout = lay_out(script, self._encode_control, self.tokenizer.encode)
        return embed(talker, layout, self.model.speaker_rows(voice), patches), latents

    def _encode_control(self, text: str) -> list[int]:
        """Ids of a template's text, in which special tokens are meant as such."""
        special = self.tokenizer.special
        parts = self.tokenizer.split_special(text)
        return [
            i
            for part in parts
            for i in ([special[part]] if part in special else self.tokenizer.encode(part))
        ]


class AlignedReader:
    """Phones laid along the speech; the talker's own durations, made shorter or longer."""

    plain = True

    def __init__(self, model: SpeechModel, pronouncer: Pronouncer):
        aligned = model.talker.config.aligned
        assert aligned is not None, "this talker reads prompts"
        self.model, self.pronouncer = model, pronouncer
        self._numbers = {name: number for number, name in enumerate(aligned.phones)}

    def manner(self, style: Style) -> Manner:
        """Words or factors. Raises InputError for what this talker cannot do."""
        refused = {
            "style": style.description,
            "emotion": style.emotion,
            "dialect": style.dialect,
            "character": style.character,
            "music": style.music,
        }
        for name, asked in refused.items():
            if asked:
                raise InputError(f"this voice follows no {name}; it knows speed, pitch and volume")
        return Manner(
            speed=_factor("speed", style.speed, SPEEDS),
            pitch=_factor("pitch", style.pitch, PITCHES),
            volume=_factor("volume", style.volume, VOLUMES),
        )

    def patches(
        self, script: Script, voice: Voice, manner: Manner, flow: FlowOptions, noise: Noise
    ) -> Iterator[Patch]:
        """Until the text's end. Raises InputError for text that is not English."""
        talker = self.model.talker
        phones = self.pronouncer.phones(script.text)
        if unknown := set(phones) - set(self._numbers):
            raise InputError(f"the talker does not know the phones {sorted(unknown)}")
        ids = torch.tensor([self._numbers[phone] for phone in phones], device=talker.like.device)
        with torch.no_grad():
            speaker = self._speaker(voice)
            features = talker.text.read(ids, (len(ids),), speaker)
            ends_s = (talker.text.log_durations(features).exp() / manner.speed).cumsum(0)
            rows = talker.text.spread(Timed(features=features, ends_s=ends_s))
            rows = rows + talker.speaker_head(speaker)
        return talker.patches_along(rows, talker.first_history(None), flow, noise)

    def _speaker(self, voice: Voice) -> torch.Tensor:
        """One vector; nobody in particular is zero."""
        talker = self.model.talker
        if voice.speakers is None or voice.neutral:
            return talker.like.new_zeros(1, talker.config.speaker_dim)
        return voice.speakers[:1].to(talker.like)


def _factor(name: str, asked: str | None, words: dict[str, float]) -> float:
    if asked is None:
        return 1.0
    if asked.lower() in words:
        return words[asked.lower()]
    try:
        factor = float(asked)
    except ValueError:
        factor = float("nan")
    if not LEAST <= factor <= MOST:
        raise InputError(
            f"{name} is {asked!r}; expected {', '.join(words)} or a factor from {LEAST} to {MOST}"
        )
    return factor
