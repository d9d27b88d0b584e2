"""Parity of the thinker, alone and behind its encoders: kinds llm and full."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mingle.checkpoints.flash_omni_2 import audio as audio_family
from mingle.checkpoints.flash_omni_2 import thinker as thinker_family
from mingle.checkpoints.flash_omni_2 import vision as vision_family
from mingle.checkpoints.mapping import apply, prefixed
from mingle.evaluation.parity.check import Check, compare_facts, read_json, read_tensors
from mingle.evaluation.parity.scene import Scene, read_scene
from mingle.evaluation.parity.tensors import Watch, compare_all, scenarios
from mingle.evaluation.parity.towers import listen
from mingle.messages import Modality
from mingle.model import OmniModel
from mingle.nn.attention import Cached, Packed
from mingle.nn.cache import empty_caches
from mingle.nn.rope import inverse_frequencies
from mingle.thinker.model import SparseFeedForward, Thinker

DEFAULT_MERGE = 2  # patches a side in one token, where a case has no vision_config

TOLERANCES = {
    "position_ids": ("positions",),
    "rope_deltas": ("positions",),
    "position_ids_rope3D": ("positions",),
    "rope_deltas_rope3D": ("positions",),
    "image_mask": ("exact",),
    "audio_mask": ("exact",),
    "audio_embeds_lengths": ("exact",),
    "greedy_tokens": ("greedy_tokens",),
    "topk_idx_sorted": ("topk_idx",),
    "logits": ("logits",),
    "greedy_step_logits": ("logits",),
    "greedy_last_step_logits": ("logits",),
    "image_embeds": ("embeds",),
    "video_embeds": ("embeds",),
    "audio_embeds": ("embeds",),
}
"""Last word of a tensor's name -> the case's name for its tolerance; `hidden` for the rest."""


@torch.no_grad()
def check_llm(case: Path) -> list[Check]:
    """Kind llm: the thinker with ready-made media rows; prefill, routing, greedy decoding."""
    raw, stated = read_json(case, "config.json"), read_json(case, "case.json")
    theirs = {f"model.{name}": value for name, value in read_tensors(case, "weights").items()}
    inputs = scenarios(read_tensors(case, "inputs"))
    scenes = {}
    for name, scenario in stated["scenarios"].items():
        changed = raw | scenario.get("config_override", {})
        thinker = _read_thinker(changed, theirs)
        scenes[name] = thinker, read_scene(inputs[name], changed, thinker, DEFAULT_MERGE)
    return _check_scenes(case, scenes, {})


@torch.no_grad()
def check_full(case: Path) -> list[Check]:
    """Kind full: the same from pixels and log-mel on."""
    raw, stated = read_json(case, "config.json"), read_json(case, "case.json")
    model = _read_model(raw, read_tensors(case, "weights"))
    inputs = read_tensors(case, "inputs")
    merge = raw["vision_config"]["spatial_merge_size"]
    scenes, found = {}, {}
    for name, scenario in stated["scenarios"].items():
        arguments = {key: _argument(inputs, where) for key, where in scenario["inputs"].items()}
        encoded = _encode(model, arguments)
        scene = read_scene(encoded, raw["llm_config"], model.thinker, merge)
        scenes[name] = model.thinker, scene
        for key, tensor in encoded.items():
            if key.startswith("query_embeds_"):
                kind, _, rest = key.removeprefix("query_embeds_").partition("_")
                found[f"{name}.{kind}_embeds{rest and '_' + rest}"] = tensor
    return _check_scenes(case, scenes, found)


def _check_scenes(
    case: Path, scenes: Mapping[str, tuple[Thinker, Scene]], found: dict[str, Tensor]
) -> list[Check]:
    """Run each scenario, add what it gives to `found`, and compare all that the case stores."""
    stored = scenarios(read_tensors(case, "outputs"))
    masks, facts = {}, []
    for name, (thinker, scene) in scenes.items():
        wanted, stated = stored.get(name, {}), read_json(case, "case.json")["scenarios"][name]
        per_token = _per_token(thinker, scene)
        masks |= {f"{name}.{key}": scene.real for key in per_token}
        tensors = per_token | _per_batch(thinker, scene)
        if "greedy_tokens" in wanted:
            num_tokens = wanted["greedy_tokens"].shape[1]
            rows, logits = greedy(thinker, scene, num_tokens=num_tokens, stop=())
            tensors["greedy_tokens"] = torch.tensor(rows)
            tensors["greedy_step_logits"] = logits
            tensors["greedy_last_step_logits"] = logits[:, -1]
            if "greedy_tokens" in stated:
                label = f"{name}.greedy_tokens of case.json"
                facts.append(compare_facts(label, rows, stated["greedy_tokens"]))
        if "eos_stop" in stated:
            facts.append(_check_stop(thinker, scene, f"{name}.eos_stop", stated["eos_stop"]))
        found |= {f"{name}.{key}": tensor for key, tensor in tensors.items()}
    return compare_all(case, found, _tolerances, masks) + facts


def _tolerances(name: str) -> tuple[str, ...]:
    if name.startswith("router.") and not name.endswith("topk_idx_sorted"):
        return ("router_logits", "hidden", "logits")
    return TOLERANCES.get(name.rpartition(".")[2], ("hidden", "embeds", "logits"))


def greedy(
    thinker: Thinker, scene: Scene, *, num_tokens: int, stop: tuple[int, ...]
) -> tuple[list[list[int]], Tensor]:
    """Decode all rows together, each until a stop token; also the logits of each step.

    Logits [batch, steps, vocab]; a row that has stopped has zeros from there on.
    """
    starts = [row.next_position for row in scene.positions[thinker.config.rope.axes]]
    caches = empty_caches(len(starts), thinker.config.num_layers)
    attend = Cached(caches, scene.lengths)
    hidden, _ = thinker(*_packed(thinker, scene), attend)
    attend.commit()
    last = hidden[torch.tensor(scene.lengths).cumsum(0) - 1]
    rows: list[list[int]] = [[] for _ in starts]
    logits = torch.zeros(len(rows), num_tokens, thinker.config.output_size)
    going = list(range(len(rows)))
    for step in range(num_tokens):
        logits[going, step] = thinker.logits(last)
        for index in going:
            rows[index].append(int(logits[index, step].argmax()))
        going = [index for index in going if rows[index][-1] not in stop]
        if not going or step == num_tokens - 1:
            break
        attend = Cached([caches[index] for index in going], [1] * len(going))
        ids = torch.tensor([rows[index][-1] for index in going])
        positions = torch.tensor([starts[index] + step for index in going]).expand(3, -1)
        text = torch.full_like(ids, Modality.TEXT)  # whatever the id: nothing was seen or heard
        last, _ = thinker(thinker.embed_tokens(ids), positions, text, attend)
        attend.commit()
    return rows, logits


def _check_stop(thinker: Thinker, scene: Scene, name: str, stated: Mapping[str, Any]) -> Check:
    """Rows end with their first stop token; what a batch has behind it is padding."""
    stop = tuple(stated["eos_token_id"])
    expected = []
    for row in stated["generated"]:
        ends = [place + 1 for place, token in enumerate(row) if token in stop]
        expected.append(row[: ends[0]] if ends else row)
    longest = max(len(row) for row in expected)
    rows, _ = greedy(thinker, scene, num_tokens=longest, stop=stop)
    return compare_facts(name, rows, expected)


def _per_token(thinker: Thinker, scene: Scene) -> dict[str, Tensor]:
    """Tensors with one row for each token, padded like the stored ones."""
    watched: dict[str, Any] = {}
    sparse = {
        i: layer.feed_forward
        for i, layer in enumerate(thinker.layers)
        if isinstance(layer.feed_forward, SparseFeedForward)
    }
    for i, feed_forward in sparse.items():
        watched[f"router.{i}.routed_out"] = feed_forward.experts
    for i, layer in enumerate(thinker.layers):
        watched[f"layer.{i}"] = layer
    packed = _packed(thinker, scene)
    with Watch(watched) as watch:
        hidden, routings = thinker(*packed, Packed(scene.lengths))
    tensors = {"inputs_embeds": packed[0], "hidden_in.0": packed[0], "last_hidden_state": hidden}
    tensors["logits"] = thinker.logits(hidden)
    for i in range(1, thinker.config.num_layers):
        tensors[f"hidden_in.{i}"] = watch.outputs[f"layer.{i - 1}"][0]
    for i, routing in zip(sparse, routings, strict=True):
        ids, order = routing.expert_ids.sort(dim=-1)
        tensors[f"router.{i}.logits"] = routing.logits
        tensors[f"router.{i}.topk_idx_sorted"] = ids
        tensors[f"router.{i}.topk_weight_sorted"] = routing.weights.gather(-1, order)
        tensors[f"router.{i}.routed_out"] = watch.outputs[f"router.{i}.routed_out"]
    return {name: _padded(tensor, scene.real) for name, tensor in tensors.items()}


def _per_batch(thinker: Thinker, scene: Scene) -> dict[str, Tensor]:
    """Positions, their cosines and sines before axes are mixed, and masks."""
    rope = thinker.config.rope
    positions = scene.padded_positions(rope.axes)
    angles = positions[..., None] * inverse_frequencies(rope.rotary_dim, rope.theta)
    tensors = {
        "position_ids": positions,
        "rope_deltas": scene.rope_deltas(rope.axes),
        "position_ids_rope3D": scene.padded_positions("3d"),
        "rope_deltas_rope3D": scene.rope_deltas("3d"),
        "rope_cos_thw": angles.cos(),
        "rope_sin_thw": angles.sin(),
    }
    masks = {"image_mask": scene.image_mask, "audio_mask": scene.audio_mask}
    return tensors | {name: mask for name, mask in masks.items() if mask is not None}


def _packed(thinker: Thinker, scene: Scene) -> tuple[Tensor, Tensor, Tensor]:
    positions = [row.ids for row in scene.positions[thinker.config.rope.axes]]
    return scene.embeds[scene.real], torch.cat(positions, dim=1), scene.modality()


def _padded(packed: Tensor, real: Tensor) -> Tensor:
    padded = packed.new_zeros(*real.shape, *packed.shape[1:])
    padded[real] = packed
    return padded


def _read_thinker(raw: Mapping[str, Any], theirs: Mapping[str, Tensor]) -> Thinker:
    config = thinker_family.read_config({"llm_config": raw})
    thinker = thinker_family.build(config)
    ours, _ = apply(thinker_family.rules(config), theirs)
    thinker.load_state_dict(ours)
    return thinker


def _read_model(raw: Mapping[str, Any], weights: Mapping[str, Tensor]) -> OmniModel:
    """The understanding side of a whole checkpoint."""
    families = {"thinker": thinker_family, "vision": vision_family, "audio": audio_family}
    configs = {part: family.read_config(raw) for part, family in families.items()}
    parts = {part: family.build(configs[part]) for part, family in families.items()}
    rules = [
        rule
        for part, family in families.items()
        for rule in prefixed(family.rules(configs[part]), ours=f"{part}.")
    ]
    model = OmniModel(**parts)
    ours, _ = apply(rules, weights)
    model.load_state_dict(ours)
    return model


def _encode(model: OmniModel, arguments: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The whole model's arguments -> its thinker's, media encoded as the official code does."""
    assert model.vision is not None
    assert model.audio is not None
    encoded = dict(arguments)
    if "video_grid_thw" in encoded:
        encoded["image_grid_thw_video"] = encoded.pop("video_grid_thw")
    if "audio_placeholder_loc_lens" in encoded:
        encoded["placeholder_audio_loc_lens"] = encoded.pop("audio_placeholder_loc_lens")
    for kind, pixels, grid in (
        ("image", "pixel_values", "image_grid_thw"),
        ("video", "pixel_values_videos", "image_grid_thw_video"),
    ):
        if pixels in encoded:
            grids = [(t, h, w) for t, h, w in encoded[grid].tolist()]
            encoded[f"query_embeds_{kind}"] = model.vision(encoded.pop(pixels), grids)
    if "audio_feats" in encoded:
        heard = listen(model.audio, encoded.pop("audio_feats"), encoded.pop("audio_feats_lengths"))
        encoded["query_embeds_audio"] = heard["normalized"]
        encoded["query_embeds_audio_lengths"] = heard["lengths"]
    return encoded


def _argument(inputs: Mapping[str, Tensor], where: Any) -> Tensor:
    """A stored input by name, or several of them one behind the other."""
    if isinstance(where, str):
        return inputs[where]
    return torch.cat([inputs[name] for name in where["concat_dim0"]])
