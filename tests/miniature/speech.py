"""The smallest talker and autoencoder that can speak: 8 kHz, built in milliseconds."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mingle.checkpoints.speech_files import SpeechFiles
from mingle.engine.speak import Speaker
from mingle.nn.transformer import DecoderConfig
from mingle.talker.aligned import AlignedConfig
from mingle.talker.audio_vae import AudioVaeConfig
from mingle.talker.blocks import BlocksConfig
from mingle.talker.codec import CodecConfig
from mingle.talker.flow_head import FlowHeadConfig
from mingle.talker.model import TalkerConfig
from mingle.talker.patch_encoder import PatchEncoderConfig
from mingle.talker.speaker import SpeakerConfig
from mingle.talker.speech import SpeechConfig, SpeechModel
from miniature.words import TALKER_SPECIAL, write_tokenizer

TINY_DECODER = DecoderConfig(
    num_layers=2,
    dim=16,
    num_heads=4,
    num_kv_heads=2,
    head_dim=4,
    inner_dim=24,
    norm_eps=1e-6,
    rope_theta=10000.0,
    qkv_bias=True,
    causal=True,
    windows=(None, None),
)
TINY_BLOCKS = BlocksConfig(
    depth=2, dim=16, num_heads=2, inner_dim=32, qk_norm=False, rotary_heads=None
)
TINY_VAE = AudioVaeConfig(
    sample_rate_hz=8000,
    latent_dim=6,
    frames_per_latent=4,
    frame_samples=40,
    encoder_hop=40,
    decoder_hop=40,
    encoder=TINY_DECODER,
    summarizer=TINY_DECODER,
    decoder=TINY_DECODER,
)
TINY_TALKER = TalkerConfig(
    vocab_size=300,
    speaker_dim=192,
    steps=2,
    lm=TINY_DECODER,
    flow=FlowHeadConfig(latent_dim=6, condition_dim=16, patch=4, history=8, blocks=TINY_BLOCKS),
    aligned=None,
    patch_encoder=PatchEncoderConfig(latent_dim=6, out_dim=16, blocks=TINY_BLOCKS),
)
TINY_SPEECH = SpeechConfig(talker=TINY_TALKER, vae=TINY_VAE, speaker=None)

TINY_ALIGNED = SpeechConfig(
    talker=replace(
        TINY_TALKER,
        vocab_size=0,
        speaker_dim=8,
        flow=FlowHeadConfig(latent_dim=6, condition_dim=16, patch=2, history=2, blocks=TINY_BLOCKS),
        aligned=AlignedConfig(
            phones=("pau", "hh", "ax", "l", "ow", "dh", "eh", "r", "s", "t"),
            patch_s=0.08,
            slices=2,
            guidance=1.0,
            blocks=TINY_BLOCKS,
        ),
    ),
    vae=CodecConfig(
        sample_rate_hz=16_000, hop=160, frames_per_latent=4, mel_bands=10, latent_dim=6
    ),
    speaker=SpeakerConfig(mel_bands=10, dim=8, depth=2, out_dim=8),
)
"""As small as can be, but at 16 kHz: the codec's pitch needs that."""


def tiny_vae_config(**changes: Any) -> AudioVaeConfig:
    """TINY_VAE with other numbers; `window` slides every backbone."""
    window = changes.pop("window", None)
    if window is not None:
        sliding = replace(TINY_DECODER, windows=(window, window))
        changes |= {"encoder": sliding, "summarizer": sliding, "decoder": sliding}
    return replace(TINY_VAE, **changes)


def tiny_speech(seed: int = 0) -> SpeechModel:
    """A talker with drawn parameters."""
    return drawn(SpeechModel(TINY_SPEECH), seed)


def drawn(module: Any, seed: int = 0) -> Any:
    """The module with every parameter drawn, biases and summaries included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module.eval()


def tiny_speaker(folder: Path, seed: int = 0) -> Speaker:
    """A speaker with a tokenizer of bytes, which is written into the folder."""
    write_tokenizer(folder, TALKER_SPECIAL)
    tokenizer = SpeechFiles(tokenizer=folder / "tokenizer.json").open_tokenizer()
    return Speaker(tiny_speech(seed), tokenizer)


def tiny_aligned(seed: int = 0) -> SpeechModel:
    """A talker of aligned text with drawn parameters and a fitted codec."""
    model = drawn(SpeechModel(TINY_ALIGNED), seed)
    time = torch.arange(16_000) / 16_000
    voices = [sum(torch.sin(6.2832 * hz * k * time) / k for k in range(1, 20)) for hz in (90, 170)]
    model.vae.fit([torch.as_tensor(voice) * 0.05 for voice in voices])
    return model
