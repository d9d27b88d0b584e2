"""Speech out as one model: the talker and the autoencoder that turns its latents into sound.

A small one brings its own speaker encoder; the released one's is a file of another kind.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.errors import ConfigError
from mingle.talker.audio_vae import AudioVae, AudioVaeConfig
from mingle.talker.codec import CodecConfig, LinearCodec
from mingle.talker.model import Talker, TalkerConfig
from mingle.talker.speaker import SpeakerConfig, SpeakerEncoder
from mingle.talker.voice import Voice


@dataclass(frozen=True, kw_only=True)
class SpeechConfig:
    """A talker and an autoencoder (or a linear codec) that speak the same latents."""

    talker: TalkerConfig
    vae: AudioVaeConfig | CodecConfig
    speaker: SpeakerConfig | None

    def __post_init__(self) -> None:
        found, expected = self.vae.latent_dim, self.talker.flow.latent_dim
        if found != expected:
            raise ConfigError(
                f"the autoencoder has {found} latent channels, the talker {expected}; "
                "do these files belong together?"
            )
        if self.speaker is not None and self.speaker.out_dim != self.talker.speaker_dim:
            raise ConfigError(
                f"the speaker encoder's vectors have {self.speaker.out_dim} numbers, the talker "
                f"reads {self.talker.speaker_dim}"
            )

    @property
    def sample_rate_hz(self) -> int:
        """The native rate of the sound."""
        return self.vae.sample_rate_hz

    @property
    def patch_samples(self) -> int:
        """Samples that one patch, one step of the talker, stands for."""
        return self.talker.flow.patch * self.vae.latent_samples

    @property
    def patch_s(self) -> float:
        """Seconds that one patch stands for."""
        return self.patch_samples / self.sample_rate_hz


class SpeechModel(nn.Module):
    """Talker, autoencoder (or codec) and, if there is one, speaker encoder, side by side."""

    def __init__(self, config: SpeechConfig):
        super().__init__()
        self.config = config
        self.talker = Talker(config.talker)
        self.vae = _codec(config.vae)
        self.speaker = None if config.speaker is None else SpeakerEncoder(config.speaker)

    @torch.no_grad()
    def latents_of(
        self,
        wave: Float[Tensor, " samples"],
        noise: Float[Tensor, "latents latent_dim"] | None = None,
    ) -> Float[Tensor, "latents latent_dim"]:
        """A reference recording (mono, native rate) as latents, a whole number of patches.

        Without noise each latent is the posterior's mean, so a recording always gives the same
        voice; the released talker samples.
        """
        posterior = self.vae.encode(pad_left(wave, self.config.patch_samples))
        return posterior.mean if noise is None else posterior.sample(noise)

    @torch.no_grad()
    def hear_speaker(
        self, samples: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, " speaker_dim"]:
        """Who speaks in a recording at 16 kHz; only with a speaker encoder."""
        assert self.speaker is not None, "this model has no speaker encoder"
        wave = torch.from_numpy(samples)[None].to(self.talker.like)
        return self.speaker(wave)[0].float().cpu().numpy()

    @torch.no_grad()
    def embed_latents(
        self, latents: Float[Tensor, "latents latent_dim"]
    ) -> Float[Tensor, "patches dim"]:
        """Latents, a whole number of patches, as the language model reads them."""
        return self.talker.patch_encoder(latents.unflatten(0, (-1, self.config.talker.flow.patch)))

    @torch.no_grad()
    def speaker_rows(self, voice: Voice) -> Float[Tensor, "speakers dim"]:
        """What stands in the prompt's speaker slots; nobody in particular is zero at full width."""
        weight = self.talker.like
        if voice.neutral or voice.speakers is None:
            return weight.new_zeros(voice.num_speakers, weight.shape[0])
        return self.talker.speaker_head(voice.speakers.to(weight))


def _codec(config: AudioVaeConfig | CodecConfig) -> AudioVae | LinearCodec:
    return LinearCodec(config) if isinstance(config, CodecConfig) else AudioVae(config)


def pad_left(wave: Float[Tensor, " samples"], multiple: int) -> Float[Tensor, " padded"]:
    """Silence before a recording, so that it ends where a patch ends."""
    return F.pad(wave, (-wave.shape[0] % multiple, 0))
