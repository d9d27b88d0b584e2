"""Parity of the audio autoencoder: encoding, decoding, streaming."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mingle.checkpoints.flash_omni_2 import audio_vae as family
from mingle.checkpoints.mapping import apply
from mingle.evaluation.parity.check import Check, compare, read_json, read_tensors, read_tolerance
from mingle.talker.audio_vae import AudioVae, DecodeState


@torch.no_grad()
def check_encode(case: Path) -> list[Check]:
    """Kind audio_vae_encode: waveform -> frames, moments, posterior, sampled latents."""
    config = family.read_config(read_json(case, "config.json"))
    encoder = family.build(config).encoder
    theirs = read_tensors(case, "weights")
    ours, _ = apply(family.encoder_rules(config), theirs)
    encoder.load_state_dict({name.removeprefix("encoder."): ours[name] for name in ours})
    inputs, stored = read_tensors(case, "inputs"), read_tensors(case, "outputs")
    frames = torch.stack([encoder.split(wave) for wave in inputs["waveform"]])
    lengths = (frames.shape[1],) * frames.shape[0]
    packed = frames.flatten(0, 1)
    posterior = encoder(packed, lengths)
    noise = inputs["noise"].transpose(1, 2).flatten(0, 1)
    found = {
        "h": encoder.moments(packed, lengths),
        "mean": posterior.mean,
        "std": posterior.std,
        "latent": posterior.sample(noise),
    }
    batch = frames.shape[0]
    found = {name: value.unflatten(0, (batch, -1)) for name, value in found.items()}
    full_frames = math.ceil(inputs["waveform"].shape[1] / config.frame_samples)
    counts = torch.full((batch,), float(math.ceil(full_frames / config.frames_per_latent)))
    found |= {"frames": frames, "frame_num": counts}
    return _compare(case, found, stored)


@torch.no_grad()
def check_decode(case: Path) -> list[Check]:
    """Kind audio_vae_decode: latents -> waveform, in one piece and in the case's chunks."""
    raw = read_json(case, "config.json")
    config = family.read_config(raw)
    vae = family.build(config)
    ours, _ = apply(family.decoder_rules_of(config), read_tensors(case, "weights"))
    decoder = vae.decoder
    decoder.load_state_dict({name.removeprefix("decoder."): ours[name] for name in ours})
    stored = read_tensors(case, "outputs")
    latents = read_tensors(case, "inputs")["latent"]
    found: dict[str, list[Tensor]] = {name: [] for name in stored}
    for item in latents:
        frames = decoder.upsample(item)
        count = frames.shape[0]
        hidden = decoder.hidden(frames, (count,))
        found["upsampled"].append(frames)
        found["hidden"].append(hidden)
        found["head_out"].append(decoder.head(hidden))
        found["waveform"].append(vae.decode(item)[None])
    chunks = read_json(case, "case.json")["stream_chunks"]
    patch_size = raw.get("patch_size", -1)
    pieces = [stream(vae, delay(item.split(chunks), patch_size)) for item in latents]
    found["stream_waveform"] = [torch.cat(wave)[None] for wave in pieces]
    joined = {name: torch.stack(values) for name, values in found.items() if values}
    joined["stream_lens"] = torch.tensor([piece.shape[0] for piece in pieces[0]])
    return _compare(case, joined, stored)


def delay(chunks: Sequence[Tensor], patch_size: int) -> list[Tensor]:
    """Feed a stream as late as the released decoder works, so that each call gives as much.

    With patches (-1: none) it decodes a chunk only when the next one has arrived. Ours decodes all
    but the newest latent, or all of them where patches hold one frame: so much of a chunk is fed
    now, and the rest with the next.
    """
    if patch_size == -1:
        return list(chunks)
    ahead = min(1, patch_size - 1)
    rest = chunks[0][:0]
    fed = []
    for number, chunk in enumerate(chunks):
        now = chunk if number == len(chunks) - 1 else chunk[:ahead]
        fed.append(torch.cat((rest, now)))
        rest = chunk[ahead:]
    return fed


def stream(vae: AudioVae, chunks: Iterable[Tensor]) -> list[Tensor]:
    """Decode chunk by chunk; the last one ends the stream."""
    state: DecodeState | None = None
    chunks, waves = list(chunks), []
    for number, chunk in enumerate(chunks):
        wave, state = vae.decode_step(chunk, state, last=number == len(chunks) - 1)
        waves.append(wave)
    return waves


def _compare(case: Path, found: dict[str, Tensor], stored: dict[str, Tensor]) -> list[Check]:
    tolerance = read_tolerance(read_json(case, "case.json")["tolerance"])
    return [compare(name, found[name], stored[name], tolerance) for name in stored]
