"""Parity of the painter: glyph text, transformer, autoencoder, schedule, sampling, sizes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mingle.checkpoints.flash_omni_2 import painter as family
from mingle.checkpoints.flash_omni_2 import painter_config as configs
from mingle.checkpoints.mapping import apply
from mingle.evaluation.parity.check import (
    Check,
    compare,
    compare_facts,
    read_json,
    read_tensors,
    read_tolerance,
)
from mingle.painter import backbones
from mingle.painter.denoise import Aim, Step, denoise
from mingle.painter.glyphs import GlyphEncoder, glyph_text
from mingle.painter.model import Painter
from mingle.painter.schedule import noise_levels
from mingle.painter.sizes import released_default_size, released_sizes

NO_CONNECTOR = {  # sampling cases begin behind the connector
    "hidden_size": 2,
    "intermediate_size": 2,
    "num_attention_heads": 1,
    "num_hidden_layers": 0,
}


@torch.no_grad()
def check_glyphs(case: Path) -> list[Check]:
    """Kind byt5_mapper: bytes -> T5 -> mapper -> rows of the condition, padding zeroed."""
    raw = read_json(case, "config.json")
    mapper = raw["byt5_mapper_config"]
    width = mapper["sdxl_channels"]
    config = configs.read_glyph(raw["byt5_model"], mapper, raw["byt5_max_length"], width)
    encoder = GlyphEncoder(config, width).eval()
    ours, _ = apply(family.glyph_rules(config), read_tensors(case, "weights"))
    load(encoder, ours, "glyphs.")
    inputs = read_tensors(case, "inputs")
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    hidden = encoder.encode(ids, mask)
    found = {
        "encoder_hidden": hidden,
        "mapper_out": encoder.map(hidden, mask),
        "byt5_embeds": encoder(ids, mask),
    }
    return compare_all(case, found)


@torch.no_grad()
def check_transformer(case: Path) -> list[Check]:
    """Kind zimage_transformer: one call, with or without a reference on the frame axis."""
    config = configs.read_transformer(read_json(case, "config.json"))
    transformer = backbones.build_transformer(config)
    ours, _ = apply(family.transformer_rules(""), read_tensors(case, "weights"))
    load(transformer, ours, "transformer.")
    inputs = read_tensors(case, "inputs")
    latents, tokens = inputs["x"][:, :, 0], inputs["cap_feats"]
    calls = {
        "velocity": (tokens, None),
        "velocity_zero_cond": (torch.zeros_like(tokens), None),
        "velocity_ref": (tokens, inputs.get("ref_x")),
    }
    found = {
        name: backbones.velocity(transformer, latents, inputs["t"], tuple(given), references)
        for name, (given, references) in calls.items()
        if name in read_tensors(case, "outputs")
    }
    return compare_all(case, {name: value[:, :, None] for name, value in found.items()})


@torch.no_grad()
def check_autoencoder(case: Path) -> list[Check]:
    """Kind image_vae: posterior mean, reference latents, decoded pixels."""
    config = configs.read_autoencoder(read_json(case, "config.json"))
    autoencoder = backbones.build_autoencoder(config)
    ours, _ = apply(family.autoencoder_rules(config, ""), read_tensors(case, "weights"))
    load(autoencoder, ours, "autoencoder.")
    inputs = read_tensors(case, "inputs")
    references = backbones.encode(autoencoder, inputs["image"])
    found = {
        "enc_mode": references / config.scale + config.shift,
        "ref_latents": references,
        "decoded": backbones.decode(autoencoder, inputs["latents"]),
    }
    return compare_all(case, found)


def check_schedule(case: Path) -> list[Check]:
    """Kind flow_scheduler: tables named <config>_n<steps>_seq<tokens>_{sigmas,timesteps}."""
    raw = read_json(case, "config.json")
    shared = {key: value for key, value in raw.items() if not isinstance(value, Mapping)}
    found = {}
    for name in read_tensors(case, "outputs"):
        match = re.fullmatch(r"(.+)_n(\d+)_seq(\d+)_(sigmas|timesteps)", name)
        assert match, f"unknown table {name}"
        config = configs.read_schedule({**shared, **raw[match[1]]})
        levels = noise_levels(
            config, steps=int(match[2]), num_tokens=int(match[3]), spacing="reference"
        )
        found[name] = levels if match[4] == "sigmas" else 1000 * levels[:-1]
    return compare_all(case, found)


@torch.no_grad()
def check_sampling(case: Path) -> list[Check]:
    """Kind zimage_sampling: the released loop from noise to pixels, with its schedule."""
    meta = read_json(case, "case.json")
    inputs = read_tensors(case, "inputs")
    painter = _painter(read_json(case, "config.json"), inputs["condition_embeds"].shape[-1], case)
    latents = inputs["latents"]
    references = inputs.get("ref_pixels")
    aim = Aim(
        conditions=tuple(inputs["condition_embeds"]),
        # the released pipeline guides above 1 only; ours guides above 0
        guidance=meta["guidance_scale"] if meta["guidance_scale"] > 1 else 0.0,
        references=None if references is None else painter.encode(references)[:, :, None],
    )
    patches = latents[0, 0].numel() // painter.config.transformer.patch_size**2
    levels = noise_levels(
        painter.config.schedule, steps=meta["steps"], num_tokens=patches, spacing="reference"
    )
    steps: list[Step] = []
    finished = denoise(painter, latents, aim, levels=levels, on_step=steps.append)
    found = {
        "sigmas": levels,
        "timesteps": 1000 * levels[:-1],
        "model_t": 1 - levels[:-1],
        "latents_per_step": torch.cat([step.latents for step in steps]),
        "image": (painter.decode(finished) / 2 + 0.5).clamp(0, 1),
    }
    return compare_all(case, found)


def check_sizes_and_text(case: Path) -> list[Check]:
    """Kind image_sizes_and_glyph_text: three tables, row by row."""
    table = read_json(case, "table.json")
    checks = []
    for row in table["process_ratio"]:
        height, width, highres = row["ori_h"], row["ori_w"], row["highres"]
        stored = (tuple(row["closest_hw"]), tuple(row["resize_hw"]))
        name = f"{width}x{height} at {highres}"
        checks.append(compare_facts(name, released_sizes(height, width, highres), stored))
    for row in table["default_hw"]:
        highres, aspect = row["highres"], row["aspect_ratio_w_over_h"]
        name = f"aspect {aspect} at {highres}"
        stored = tuple(row["hw"])
        checks.append(compare_facts(name, released_default_size(highres, aspect), stored))
    for row in table["glyph_text"]:
        prompt = row["prompt"]
        checks.append(compare_facts(prompt, glyph_text(prompt), row["image_gen_text"]))
    return checks


def _painter(raw: Mapping[str, Any], width: int, case: Path) -> Painter:
    mlp = {"diffusion_c_input_dim": width, "img_gen_scales": [1], **raw["mlp"]}
    config = configs.read_config(
        {"mlp": mlp, "connector": NO_CONNECTOR, "thinker_dim": 1}
        | {part: raw[part] for part in ("transformer", "vae", "scheduler")}
    )
    painter = Painter(config)
    rules = (
        *family.transformer_rules("transformer/"),
        *family.autoencoder_rules(config.autoencoder, "vae/"),
        *(family.finish_rules() if config.condition.mlp_dim else ()),
    )
    ours, _ = apply(rules, read_tensors(case, "weights"))
    for part in ("transformer", "autoencoder", "finish"):
        load(painter.get_submodule(part), ours, f"{part}.")
    return painter


def load(module: nn.Module, ours: Mapping[str, Tensor], prefix: str) -> None:
    """Fill a module with the tensors below a prefix; every one of its parameters must be there."""
    module.load_state_dict(
        {name.removeprefix(prefix): ours[name] for name in ours if name.startswith(prefix)}
    )


def compare_all(case: Path, found: Mapping[str, Tensor]) -> list[Check]:
    """Compare everything a case stores, by name."""
    tolerance = read_tolerance(read_json(case, "case.json")["tolerance"])
    stored = read_tensors(case, "outputs")
    return [compare(name, found[name], stored[name], tolerance) for name in stored]
