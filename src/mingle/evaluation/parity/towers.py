"""Parity of the encoders: kinds vision and audio."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.checkpoints.flash_omni_2 import audio as audio_family
from mingle.checkpoints.flash_omni_2 import vision as vision_family
from mingle.checkpoints.mapping import apply
from mingle.encoders.audio import AudioConfig, AudioEncoder
from mingle.encoders.vision import VisionEncoder
from mingle.evaluation.parity.check import Check, read_json, read_tensors
from mingle.evaluation.parity.tensors import Watch, compare_all, pad_rows, scenarios


@torch.no_grad()
def check_vision(case: Path) -> list[Check]:
    """Kind vision: the tower's tensors from patches to unit embeddings, scenario by scenario."""
    raw, weights = read_json(case, "config.json"), read_tensors(case, "weights")
    config = vision_family.read_config(raw)
    encoder = vision_family.build(config)
    ours, _ = apply(vision_family.rules(config), weights)
    encoder.load_state_dict(ours)
    found: dict[str, Tensor] = {}
    for name, inputs in scenarios(read_tensors(case, "inputs")).items():
        tensors = _look(encoder, inputs)
        taps = raw["vision_config"].get("deepstack_visual_indexes", [])
        for i, block in enumerate(taps):
            tensors[f"deepstack.{i}"] = _deepstack(weights, i, tensors[f"block.{block}"])
        found |= {f"{name}.{key}": tensor for key, tensor in tensors.items()}
    return compare_all(case, found, _tolerances)


@torch.no_grad()
def check_audio(case: Path) -> list[Check]:
    """Kind audio: segments padded together as the official code does, then written into a text."""
    config = audio_family.read_config(read_json(case, "config.json"))
    encoder = audio_family.build(config)
    ours, _ = apply(audio_family.rules(config), read_tensors(case, "weights"))
    encoder.load_state_dict(ours)
    found: dict[str, Tensor] = {}
    for name, inputs in scenarios(read_tensors(case, "inputs")).items():
        tensors = listen(encoder, inputs["audio_feats"], inputs["audio_feats_lengths"])
        if "input_embeds" in inputs:
            tensors["patched"], tensors["audio_mask"] = write_audio(
                inputs["input_embeds"],
                tensors["normalized"],
                tensors["lengths"],
                inputs["placeholder_loc_lens"],
            )
        found |= {f"{name}.{key}": tensor for key, tensor in tensors.items()}
    return compare_all(case, found, _tolerances)


def listen(encoder: AudioEncoder, feats: Tensor, lengths: Tensor) -> dict[str, Tensor]:
    """Encode rows of segments as the official code does; `feats` [batch, frames, mels].

    It pads the segments of a call with zeros to the longest and lets them see the padding, so a
    short one depends on its neighbours. Here that is done to the input; the encoder never pads.
    """
    counts = [[length for length in row if length > 0] for row in lengths.tolist()]
    segments = [
        segment
        for row, row_counts in zip(feats, counts, strict=True)
        for segment in row[: sum(row_counts)].split(row_counts)
    ]
    encoded = encoder.encode(list(pad_rows(segments)))
    projected = encoder.project(encoded)
    embedded = _embedding_counts(encoder.config, lengths)
    kept = [
        x[: encoder.config.num_embeddings(len(segment))]
        for x, segment in zip(projected, segments, strict=True)
    ]
    rows, at = [], 0
    for row_counts in counts:
        rows.append(torch.cat(kept[at : at + len(row_counts)]))
        at += len(row_counts)
    wrapped = pad_rows(rows)
    return {
        "segment_lengths_mel": torch.tensor([len(segment) for segment in segments]),
        "encoder_out_segments": torch.stack(encoded),
        "proj_out_segments": torch.stack(projected),
        "wrapped": wrapped,
        "normalized": encoder.scale(wrapped),
        "lengths": embedded,
    }


def write_audio(
    embeds: Tensor, feats: Tensor, lengths: Tensor, places: Tensor
) -> tuple[Tensor, Tensor]:
    """Write audio rows over their places as the official code does; also where they are.

    Rows too many for a place are skipped; a place too long keeps its last token embeddings, and
    is audio all the same. Shapes: [batch, tokens, dim], [batch, rows, dim], [batch, segments],
    [batch, segments, 2] of (start, length).
    """
    written, mask = embeds.clone(), torch.zeros(embeds.shape[:2], dtype=torch.bool)
    for item in range(embeds.shape[0]):
        read = 0
        pairs = zip(lengths[item].tolist(), places[item].tolist(), strict=True)
        for length, (start, room) in pairs:
            count = min(length, room)
            written[item, start : start + count] = feats[item, read : read + count]
            mask[item, start : start + room] = True
            read += length
    return written, mask


def _tolerances(name: str) -> tuple[str, ...]:
    """The case's name for a tensor's tolerance."""
    if name in ("segment_lengths_mel", "lengths", "audio_mask"):
        return ("exact",)
    return ("normalized", "default") if name == "normalized" else ("default",)


def _look(encoder: VisionEncoder, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Everything a vision case stores, but the deepstack."""
    grids = [(time, height, width) for time, height, width in inputs["grid_thw"].tolist()]
    watched: dict[str, nn.Module] = {"patch_embed": encoder.patch_embedding}
    watched |= {f"block.{i}": layer for i, layer in enumerate(encoder.layers)}
    watched["merger_out"] = encoder.merger
    with Watch(watched) as watch:
        normalized = encoder(inputs["pixel_values"], grids)
    return watch.outputs | {
        "pos_embed_interp": encoder.positions(grids),
        "rotary_freqs": encoder.angles(grids),
        "linear_proj_out": encoder.project(watch.outputs["merger_out"]),
        "normalized": normalized,
    }


def _deepstack(weights: Mapping[str, Tensor], index: int, block: Tensor) -> Tensor:
    """A merger of the official code whose output it throws away; ours does not have it."""

    def parameters(name: str) -> tuple[Tensor, Tensor]:
        prefix = f"vision.deepstack_merger_list.{index}.{name}."
        return weights[prefix + "weight"], weights[prefix + "bias"]

    scale, shift = parameters("norm")
    joined = F.layer_norm(block.view(-1, scale.shape[0]), scale.shape, scale, shift, 1e-6)
    return F.linear(F.gelu(F.linear(joined, *parameters("linear_fc1"))), *parameters("linear_fc2"))


def _embedding_counts(config: AudioConfig, lengths: Tensor) -> Tensor:
    counts = [[config.num_embeddings(n) if n > 0 else 0 for n in row] for row in lengths.tolist()]
    return torch.tensor(counts)
