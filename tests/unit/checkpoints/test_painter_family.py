"""The painter's files: strict reading, and every tensor of every variant there and back."""

import copy

import pytest
import torch
from miniature.configs import painter_configs

from mingle.checkpoints.flash_omni_2 import SCHEDULER, painter
from mingle.checkpoints.flash_omni_2 import painter_config as configs
from mingle.checkpoints.mapping import apply, invert
from mingle.errors import ConfigError


@pytest.fixture
def raw():
    files = copy.deepcopy(painter_configs())
    folders = ("mlp", "connector", "transformer", "vae")
    return {folder: files[f"{folder}/config.json"] for folder in folders} | {
        "scheduler": files[SCHEDULER],
        "byt5": files["byt5/byt5.json"],
        "byt5_model": files["byt5/google__byt5-smal/config.json"],
        "thinker_dim": 20,
    }


def several_scales(raw):
    raw["mlp"]["img_gen_scales"] = [2, 3]


def network(raw):
    raw["mlp"] |= {"use_identity_mlp": False, "diffusion_c_input_dim": 12}
    raw["byt5"]["byt5_mapper_config"]["sdxl_channels"] = 12


def plain_feed_forward(raw):
    raw["byt5_model"]["feed_forward_proj"] = "relu"


def quant_convolutions(raw):
    raw["vae"] |= {"use_quant_conv": True, "use_post_quant_conv": True}


def no_glyphs(raw):
    del raw["byt5"]


@pytest.mark.parametrize(
    "variant", [several_scales, network, plain_feed_forward, quant_convolutions, no_glyphs]
)
def test_every_tensor_goes_there_and_back(raw, variant):
    variant(raw)
    config = painter.read_config(raw)
    ours = painter.build(config).state_dict()
    rules = painter.rules(config)
    theirs = invert(rules, ours)
    again, _ = apply(rules, theirs)
    assert set(again) == set(ours)
    assert all(torch.equal(again[name], ours[name]) for name in ours)


def test_tokens_for_colours_and_fonts_widen_the_table(raw):
    raw["byt5_tokens"] = 7
    assert painter.read_config(raw).glyph.vocab_size == raw["byt5_model"]["vocab_size"] + 7


def test_canvases_without_positions_are_left_out(raw):
    buckets = painter.read_config(raw).buckets  # 64 positions of 16 pixels a side
    assert max(max(size) for sizes in buckets.values() for size in sizes) == 1024
    assert (1024, 1024) in buckets[1024]


def test_transformer_too_small_for_every_canvas_paints_its_largest_square(raw):
    raw["transformer"]["axes_lens"] = [512, 4, 4]  # of 16 pixels a side
    assert painter.read_config(raw).buckets == {64: ((64, 64),)}


@pytest.mark.parametrize(
    ("folder", "change", "message"),
    [
        ("mlp", {"dit_type": "sd3"}, "dit_type"),
        ("mlp", {"router_kind": 1}, "unknown key 'router_kind'"),
        ("mlp", {"diffusion_c_input_dim": 23}, "use_identity_mlp leaves widths alone"),
        ("transformer", {"n_kv_heads": 1}, "n_kv_heads"),
        ("transformer", {"all_patch_size": [2, 4]}, "expected one size"),
        ("transformer", {"axes_dims": [4, 6]}, "expected three"),
        ("vae", {"act_fn": "gelu"}, "act_fn"),
        ("vae", {"latents_mean": [0.0]}, "latents_mean"),
        ("scheduler", {"use_karras_sigmas": True}, "use_karras_sigmas"),
        ("scheduler", {"time_shift_type": "linear"}, "time_shift_type"),
        ("byt5_model", {"feed_forward_proj": "gated-silu"}, "gated-silu"),
        ("byt5", {"byt5_mapper_type": "Other"}, "byt5_mapper_type"),
    ],
)
def test_what_is_not_computed_is_refused(raw, folder, change, message):
    raw[folder] |= change
    with pytest.raises(ConfigError, match=message):
        painter.read_config(raw)


def test_the_preview_is_refused(raw):
    del raw["mlp"]["dit_type"]
    with pytest.raises(ConfigError, match="Preview"):
        painter.read_config(raw)


def test_the_released_pipelines_wish_for_a_dynamic_shift_has_no_say():
    plain = configs.read_schedule({"shift": 3.0})
    assert (plain.shift, plain.dynamic) == (3.0, False)
