"""The audio autoencoder: streamed equals whole, packed equals alone."""

import pytest
import torch
from miniature.speech import TINY_VAE, drawn, tiny_vae_config

from mingle.talker.audio_vae import AudioVae

TOLERANCE = 1e-5  # fp32; samples reach about 1

CONFIGS = {
    "patched": {},
    "unpatched": {"frames_per_latent": 1, "summarizer": None},
    "windowed": {"window": 5},
    "three frames": {"frames_per_latent": 3},
}


def latents_of(config, count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, config.latent_dim, generator=generator)


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("chunks", [(1,) * 9, (2, 3, 1, 3), (9,), (4, 5), (8, 1)])
@torch.no_grad()
def test_streamed_decode_equals_the_whole_sample_for_sample(changes, chunks):
    config = tiny_vae_config(**changes)
    vae = drawn(AudioVae(config))
    latents = latents_of(config, sum(chunks))
    state, pieces = None, []
    for number, chunk in enumerate(latents.split(chunks)):
        wave, state = vae.decode_step(chunk, state, last=number == len(chunks) - 1)
        pieces.append(wave)
    whole = vae.decode(latents)
    assert whole.shape == (len(latents) * config.frames_per_latent * config.decoder_hop,)
    torch.testing.assert_close(torch.cat(pieces), whole, atol=TOLERANCE, rtol=0)


@torch.no_grad()
def test_a_stream_may_end_with_an_empty_chunk():
    config = tiny_vae_config()
    vae = drawn(AudioVae(config))
    latents = latents_of(config, 5)
    first, state = vae.decode_step(latents, None, last=False)
    rest, state = vae.decode_step(latents[:0], state, last=True)
    assert state is None
    torch.testing.assert_close(
        torch.cat((first, rest)), vae.decode(latents), atol=TOLERANCE, rtol=0
    )


@torch.no_grad()
def test_all_but_one_latent_and_the_overlap_sounds_at_once():
    config = tiny_vae_config()
    wave, _ = drawn(AudioVae(config)).decode_step(latents_of(config, 4), None, last=False)
    decoded = 3 * config.frames_per_latent * config.decoder_hop
    assert wave.shape[0] == decoded - 3 * config.decoder_hop // 2


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
@torch.no_grad()
def test_packed_recordings_do_not_see_each_other(changes):
    config = tiny_vae_config(**changes)
    vae = drawn(AudioVae(config))
    waves = [torch.sin(torch.arange(count) * 0.1) for count in (405, 1000)]
    frames = [vae.encoder.split(wave) for wave in waves]
    packed = vae.encoder(torch.cat(frames), [len(part) for part in frames])
    alone = torch.cat([vae.encode(wave).mean for wave in waves])
    torch.testing.assert_close(packed.mean, alone, atol=TOLERANCE, rtol=0)
    lengths = [len(vae.encode(wave).mean) for wave in waves]
    decoded = torch.cat([vae.decode(part) for part in alone.split(lengths)])
    torch.testing.assert_close(vae.decoder(alone, lengths), decoded, atol=TOLERANCE, rtol=0)


def test_a_recording_gives_as_many_latents_as_it_fills_rounded_up():
    vae = drawn(AudioVae(tiny_vae_config()))
    counts = [len(vae.encode(torch.zeros(samples)).mean) for samples in (1, 160, 161, 320)]
    assert counts == [1, 1, 2, 2]


def test_gradients_reach_every_parameter():
    vae = drawn(AudioVae(tiny_vae_config()))
    posterior = vae.encode(torch.sin(torch.arange(900) * 0.1))
    vae.decode(posterior.sample(torch.ones_like(posterior.mean))).square().sum().backward()
    assert [name for name, p in vae.named_parameters() if p.grad is None] == []


def test_untrained_it_hears_quiet_sounds_apart_and_is_near_silence():
    """Else all latents become alike before the decoder can use them."""
    torch.manual_seed(0)
    vae = AudioVae(TINY_VAE)
    time = torch.arange(8000) / 8000
    sounds = [0.05 * torch.sin(2 * torch.pi * hertz * time) for hertz in (200, 350)]
    with torch.no_grad():
        one, other = (vae.encode(sound) for sound in sounds)
        spread = (one.mean - other.mean).square().mean().sqrt()
        assert spread > 0.25 * one.mean.square().mean().sqrt()
        assert one.std.max() < 0.2
        assert vae.decode(one.mean).square().mean().sqrt() < 2e-3  # -54 dB of full scale
