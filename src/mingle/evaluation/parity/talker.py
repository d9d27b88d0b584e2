"""Parity of the talker's modules: velocity, solver, heads, patch encoder, prompt recording."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mingle.checkpoints.flash_omni_2 import audio_vae as vae_family
from mingle.checkpoints.flash_omni_2 import talker as family
from mingle.checkpoints.mapping import Rule, apply
from mingle.evaluation.parity.check import Check, compare, read_json, read_tensors, read_tolerance
from mingle.nn.flow import guide, sway
from mingle.nn.rope import inverse_frequencies
from mingle.talker.blocks import ROPE_THETA
from mingle.talker.flow_head import FlowHead, FlowOptions, PatchNoise, time_grid, time_waves
from mingle.talker.model import TalkerConfig
from mingle.talker.speech import SpeechConfig, SpeechModel, pad_left


@torch.no_grad()
def check_velocity(case: Path) -> list[Check]:
    """Kind talker_dit_velocity: one evaluation of the flow head, guided and not."""
    config = read_talker_config(case)
    head = FlowHead(config.flow)
    load_part(head, "flow_head.", family.flow_rules(config.flow), read_tensors(case, "weights"))
    given = read_tensors(case, "inputs")
    batch, patch = given["x"].shape[:2]
    time = given["t"].expand(batch)
    condition, history = given["llm_cond"][:, 0], given["lat_history"]
    context = head.context(condition, history)
    embedded = head.embed_time(time)
    full = head.velocities(given["x"], embedded, context)
    conditional, free = (
        head(given["x"], time, chosen, history)
        for chosen in (condition, torch.zeros_like(condition))
    )
    frequencies = inverse_frequencies(config.flow.blocks.head_dim, ROPE_THETA)
    angles = torch.arange(full.shape[1])[:, None] * frequencies
    found = {
        "t_sinusoid": time_waves(time),
        "t_embed": embedded,
        "rope_freqs": angles.repeat_interleave(2, dim=-1)[None],
        "dit_out_full": full,
        "v_cond": full[:, -patch:],
        "v_uncond": free,
        "v_cfg": guide(conditional, free, float(given["cfg_strength"][0])),
    }
    return compare_all(case, found)


@torch.no_grad()
def check_solve(case: Path) -> list[Check]:
    """Kind talker_cfm_solve: time grids, and whole solves with the options the case names."""
    config = read_talker_config(case)
    head = FlowHead(config.flow)
    load_part(head, "flow_head.", family.flow_rules(config.flow), read_tensors(case, "weights"))
    given, stored = read_tensors(case, "inputs"), read_tensors(case, "outputs")
    noise = PatchNoise(start=given["y0"], kicks=given["sde_rnd"])
    condition, history = given["llm_cond"][:, 0], given["lat_history"]
    told = str(read_json(case, "case.json").get("description", ""))
    released = {
        "latent_sde": FlowOptions(steps=config.steps, guidance=4.5, sigma=0.3, temperature=2.5),
        "latent_5steps": FlowOptions(steps=5, guidance=1.3),
    }
    usual = FlowOptions(steps=config.steps)
    found = {
        name: head.solve(
            condition, history, noise, told_options(told, name, released.get(name, usual))
        )
        for name in stored
        if name.startswith("latent_")
    }
    grid = time_grid(config.steps)
    found |= {"t_raw": grid, "t_swayed": sway(grid)}
    schedules = [name for name in stored if name.startswith("t_sched_")]
    found |= {name: time_grid(int(name.removeprefix("t_sched_"))) for name in schedules}
    return compare_all(case, found)


@torch.no_grad()
def check_heads(case: Path) -> list[Check]:
    """Kind talker_heads: stop probabilities of the last hidden state, speaker projection."""
    talker = family.build(read_talker_config(case))
    ours, _ = apply(family.head_rules(), read_tensors(case, "weights"))
    talker.load_state_dict(ours, strict=False)
    given = read_tensors(case, "inputs")
    found = {
        "stop_prob": talker.stop_probability(given["hidden"][:, -1]),
        "spk_embeds": talker.speaker_head(given["spk_emb"]),
    }
    return compare_all(case, found)


@torch.no_grad()
def check_patch_encoder(case: Path) -> list[Check]:
    """Kind talker_aggregator: patches of latents -> embeddings."""
    config = read_talker_config(case)
    encoder = family.build(config).patch_encoder
    part = family.patch_encoder_rules(config.patch_encoder)
    load_part(encoder, "patch_encoder.", part, read_tensors(case, "weights"))
    found = encoder(read_tensors(case, "inputs")["latent_patches"])
    return compare_all(case, {"embeds": found[:, None]})


@torch.no_grad()
def check_recording(case: Path) -> list[Check]:
    """Kind talker_prompt_wav: a recording padded on the left, encoded, grouped into patches."""
    speech = load_speech(case)
    config = speech.config
    given = read_tensors(case, "inputs")
    wave = given["prompt_wav"][0]
    latents = speech.latents_of(wave, given["vae_noise"][0].T)
    found = {
        "padded_wav": pad_left(wave, config.patch_samples)[None],
        "prompt_wav_lat": latents[None],
        "prompt_wav_emb": speech.embed_latents(latents)[None],
    }
    return compare_all(case, found)


def told_options(description: str, name: str, usual: FlowOptions) -> FlowOptions:
    """The options that a case's description states for one tensor; those it leaves out are usual.

    They stand behind "name:", before the next "name:"; with name "", at the beginning.
    """
    start = description.find(f"{name}:") if name else 0
    if start < 0:
        return usual
    about = re.split(r"\blatents?_\w+:", description[start + len(name) :])[0]
    numbers = {key: float(value) for key, value in re.findall(r"(\w+) (\d+(?:\.\d+)?)\b", about)}
    steps = re.search(r"(\d+) steps", about)
    return replace(
        usual,
        steps=int(steps[1]) if steps else usual.steps,
        guidance=numbers.get("cfg", usual.guidance),
        sigma=numbers.get("sigma", usual.sigma),
        temperature=numbers.get("temperature", usual.temperature),
    )


def read_talker_config(case: Path) -> TalkerConfig:
    """The case's talker, without its autoencoder."""
    raw = read_json(case, "config.json")
    return family.read_config(raw["talker"], raw["llm"])


def load_speech(case: Path) -> SpeechModel:
    """The case's talker and autoencoder with what weights it stores: only those it uses."""
    vae = vae_family.read_config(read_json(case, "config.json")["vae"])
    speech = SpeechModel(SpeechConfig(talker=read_talker_config(case), vae=vae, speaker=None))
    theirs = read_tensors(case, "weights")
    groups = {
        "talker/vae/encoder.": vae_family.encoder_rules(vae),
        "talker/vae/decoder.": vae_family.decoder_rules_of(vae),
        "talker/model.": family.lm_rules(speech.config.talker),
        "talker/cfm.": family.flow_rules(speech.config.talker.flow),
        "talker/aggregator.": family.patch_encoder_rules(speech.config.talker.patch_encoder),
        "talker/s": family.head_rules(),
    }
    for prefix, rules in groups.items():
        folder = "talker/vae/" if prefix.startswith("talker/vae/") else "talker/"
        some = {n.removeprefix(folder): t for n, t in theirs.items() if n.startswith(prefix)}
        if some:
            module = speech.vae if folder == "talker/vae/" else speech.talker
            _, unexpected = module.load_state_dict(apply(rules, some)[0], strict=False)
            assert not unexpected, unexpected
    return speech


def load_part(
    module: nn.Module, prefix: str, rules: Sequence[Rule], theirs: Mapping[str, Tensor]
) -> None:
    """Fill one submodule completely, by the rules of the whole."""
    ours, _ = apply(rules, theirs)
    module.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in ours.items()})


def compare_all(case: Path, found: Mapping[str, Any]) -> list[Check]:
    """Compare everything the case stores."""
    tolerance = read_tolerance(read_json(case, "case.json")["tolerance"])
    stored = read_tensors(case, "outputs")
    return [compare(name, found[name], stored[name], tolerance) for name in stored]
