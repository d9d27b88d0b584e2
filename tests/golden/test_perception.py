"""The thinker and its encoders compute what the released ones computed: stored miniature cases."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mingle.checkpoints.flash_omni_2 import audio, thinker, vision
from mingle.checkpoints.mapping import apply, invert, prefixed
from mingle.evaluation.parity import run_case
from mingle.messages import Modality, Span
from mingle.model import OmniModel
from mingle.nn.attention import Packed
from mingle.processing.inputs import Patches, Prompt

HERE = Path(__file__).parent
PARTS = {"thinker": thinker, "vision": vision, "audio": audio}


@pytest.mark.parametrize(
    ("name", "num_checks"), [("llm", 54), ("vision", 26), ("audio", 16), ("full", 68)]
)
def test_perception_equals_the_stored_outputs(name, num_checks):
    report = run_case(HERE / name, name)
    assert report.passed, [check for check in report.checks if not check.passed]
    assert len(report.checks) == num_checks


@pytest.mark.parametrize(
    ("one", "other", "unhurt"),
    [
        (
            "model.layers.1.mlp.image_gate.weight",
            "model.layers.1.mlp.audio_gate.weight",
            "text.logits",
        ),
        ("model.layers.1.mlp.gate.expert_bias", "model.layers.1.mlp.image_gate.expert_bias", None),
        ("model.layers.0.attention.q_norm.weight", "model.layers.0.attention.k_norm.weight", None),
    ],
)
def test_swapped_weights_are_noticed(tmp_path, one, other, unhurt):
    case = Path(shutil.copytree(HERE / "llm", tmp_path / "llm"))
    weights = load_file(case / "weights.safetensors")
    weights[one], weights[other] = weights[other].clone(), weights[one].clone()
    save_file(weights, case / "weights.safetensors")
    report = run_case(case, "llm")
    failed = {check.name for check in report.checks if not check.passed}
    assert "mixed.logits" in failed
    assert unhurt not in failed


def test_embedding_a_prompt_gives_the_stored_logits():
    case = HERE / "full"
    raw, model = _model(case)
    inputs, outputs = (load_file(case / f"{kind}.safetensors") for kind in ("inputs", "outputs"))
    ids = inputs["two_images.input_ids"][0].numpy()
    pixels = [inputs["img_b.pixel_values"].numpy(), inputs["img_a.pixel_values"].numpy()]
    grids = [tuple(grid) for grid in inputs["two_images.image_grid_thw"].tolist()]
    patch = raw["llm_config"]["image_patch_token"]
    starts = [i for i in range(len(ids)) if ids[i] == patch and ids[i - 1] != patch]
    spans = [
        Span(start=start, length=t * h * w // 4, kind="image", item=i, grid=(t, h // 2, w // 2))
        for i, (start, (t, h, w)) in enumerate(zip(starts, grids, strict=True))
    ]
    images = [Patches(values=v, grid=g) for v, g in zip(pixels, grids, strict=True)]
    with torch.no_grad():
        embedded = model.embed(Prompt(ids=ids, spans=tuple(spans), images=tuple(images)))
        hidden, _ = model.thinker(
            embedded.hidden, embedded.positions, embedded.modality, Packed([len(ids)])
        )
        logits = model.thinker.logits(hidden)
    torch.testing.assert_close(logits, outputs["two_images.logits"][0], atol=2e-4, rtol=1e-4)
    assert torch.equal(embedded.positions, outputs["two_images.position_ids"][:, 0])
    stored = outputs["two_images.image_mask"][0].bool()
    assert torch.equal(embedded.modality == Modality.IMAGE, stored)
    delta = int(outputs["two_images.rope_deltas"][0, 0])
    assert embedded.next_position == len(ids) + delta


def test_official_names_come_back_byte_equal():
    case = HERE / "full"
    raw = json.loads((case / "config.json").read_text())
    theirs = load_file(case / "weights.safetensors")
    ours, report = apply(_rules(raw), theirs)
    back = invert(_rules(raw), ours)
    assert back.keys() == theirs.keys() - report.ignored.keys()
    assert all(torch.equal(back[name], theirs[name]) for name in back)
    assert all(name.startswith("vision.deepstack_merger_list.") for name in report.ignored)


def test_a_config_as_transformers_writes_it_is_read_whole():
    raw = json.loads((HERE / "full" / "config.json").read_text())
    noise = {"_name_or_path": "", "num_beams": 1, "top_k": 50, "is_decoder": False, "id2label": {}}
    noise |= {"torch_dtype": "bfloat16", "transformers_version": "4.57.1", "auto_map": {}}
    for part in ("llm_config", "vision_config", "audio_config"):
        plain = [family.read_config(raw) for family in PARTS.values()]
        noisy = raw | {part: raw[part] | noise}
        assert [family.read_config(noisy) for family in PARTS.values()] == plain


@pytest.mark.parametrize(
    ("family", "part"),
    [("thinker", "llm_config"), ("vision", "vision_config"), ("audio", "audio_config")],
)
def test_an_unknown_key_is_named(family, part):
    raw = json.loads((HERE / "full" / "config.json").read_text())
    raw[part]["router_kind"] = 1
    with pytest.raises(ValueError, match="router_kind"):
        PARTS[family].read_config(raw)


def _rules(raw):
    return [
        rule
        for part, family in PARTS.items()
        for rule in prefixed(family.rules(family.read_config(raw)), ours=f"{part}.")
    ]


def _model(case):
    raw = json.loads((case / "config.json").read_text())
    model = OmniModel(**{part: f.build(f.read_config(raw)) for part, f in PARTS.items()})
    ours, _ = apply(_rules(raw), load_file(case / "weights.safetensors"))
    model.load_state_dict(ours)
    return raw, model
