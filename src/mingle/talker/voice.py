"""A voice: who speaks, and how that person was heard to speak."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mingle.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Speaker vectors, and the latents of a recording that the speech goes on from.

    `transcript` is what the recording says; without it only its sound is gone on from. `neutral`
    asks for nobody in particular, which is another thing than not saying who (no vectors at all).
    `volume` is a factor on its samples that makes it as loud as others.
    """

    name: str
    speakers: Float[Tensor, "speakers speaker_dim"] | None = None
    latents: Float[Tensor, "latents latent_dim"] | None = None
    transcript: str | None = None
    neutral: bool = False
    volume: float = 1.0

    @property
    def num_speakers(self) -> int:
        """How many slots the prompt gives to speakers."""
        return 1 if self.neutral else 0 if self.speakers is None else self.speakers.shape[0]


NOBODY = Voice(name="nobody")
"""The talker chooses; every text may get another voice."""

NEUTRAL = Voice(name="neutral", neutral=True)
"""A voice that a description of style is to form."""


def cast(voices: Sequence[Voice]) -> Voice:
    """Several people in one conversation: speaker 1, 2, ... in the order given.

    Raises InputError for a voice without a speaker vector. Transcripts count if all have one.
    """
    for voice in voices:
        if voice.speakers is None or voice.speakers.shape[0] != 1:
            raise InputError(f"voice '{voice.name}' is not one speaker; a conversation needs that")
    transcripts = [voice.transcript for voice in voices]
    told = None
    if all(transcript is not None for transcript in transcripts):
        told = "".join(f" speaker_{n}:{said}\n" for n, said in enumerate(transcripts, start=1))
    latents = [voice.latents for voice in voices if voice.latents is not None]
    return Voice(
        name=" and ".join(voice.name for voice in voices),
        speakers=torch.cat([v.speakers for v in voices if v.speakers is not None]),
        latents=torch.cat(latents) if len(latents) == len(voices) else None,
        transcript=told if len(latents) == len(voices) else None,
    )
