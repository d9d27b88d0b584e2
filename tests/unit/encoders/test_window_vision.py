"""Eyes with windows: equal to the library's Qwen2.5 tower, and true to what they promise."""

from dataclasses import replace

import torch
from miniature import randomise
from miniature.configs import preview_vision_config, root_config

from mingle.checkpoints.flash_omni_preview import vision
from mingle.checkpoints.mapping import apply
from mingle.encoders.window_vision import WindowVisionEncoder

CLOSE = {"atol": 1e-5, "rtol": 1e-4}  # fp32
RAW = {**root_config(), "vision_config": preview_vision_config()}
CONFIG = vision.read_config(RAW)


def tower(config=CONFIG) -> WindowVisionEncoder:
    encoder = WindowVisionEncoder(config)
    randomise(encoder, torch.Generator().manual_seed(3))
    return encoder


def patches(grids, seed=0):
    count = sum(time * height * width for time, height, width in grids)
    return torch.randn(count, CONFIG.patch_values, generator=torch.Generator().manual_seed(seed))


def library_tower():
    """transformers' tower of the same sizes, its parameters drawn at random."""
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
        Qwen2_5_VisionTransformerPretrainedModel,
    )

    raw = RAW["vision_config"]
    names = ("depth", "hidden_size", "hidden_act", "intermediate_size", "num_heads", "in_channels")
    names += ("patch_size", "spatial_merge_size", "temporal_patch_size", "window_size")
    names += ("out_hidden_size", "fullatt_block_indexes")
    config = Qwen2_5_VLVisionConfig(**{name: raw[name] for name in names})
    config._attn_implementation = "eager"
    tower = Qwen2_5_VisionTransformerPretrainedModel(config).eval()
    randomise(tower, torch.Generator().manual_seed(5))
    return tower


@torch.no_grad()
def test_tower_equals_the_librarys_through_the_familys_names():
    theirs = library_tower()
    grids = [(1, 10, 14), (1, 4, 4), (2, 8, 18)]
    values = patches(grids)
    expected = theirs(values, grid_thw=torch.tensor(grids))
    expected = getattr(expected, "pooler_output", expected)
    ours = WindowVisionEncoder(CONFIG)
    given = {f"vision.{name}": tensor for name, tensor in theirs.state_dict().items()}
    projector = {
        f"linear_proj.{2 * i}.{kind}": tensor.detach()
        for i, layer in enumerate(ours.projector)
        for kind, tensor in layer.named_parameters()
    }
    state, _ = apply(vision.rules(CONFIG), given | projector)
    ours.load_state_dict(state)
    torch.testing.assert_close(ours.merge(values, grids), expected, **CLOSE)


def test_windows_hold_every_block_once():
    order, lengths = tower().windows([(1, 10, 14), (2, 8, 8)])
    assert sorted(order.tolist()) == list(range(5 * 7 + 2 * 16))
    assert sum(lengths) == 4 * len(order)
    assert lengths[:4] == [64, 48, 16, 12]  # 5 x 7 blocks in windows of 4 x 4
    assert lengths[4:] == [64, 64]


def test_a_window_does_not_see_its_neighbour():
    encoder = tower(replace(CONFIG, full_layers=()))
    grids = [(1, 8, 16)]  # two windows side by side
    values = patches(grids)
    changed = values.clone()
    right = torch.arange(8 * 16).view(2 * 2, 8, 4)[:, 4:].flatten()  # blocks of the right window
    changed[right] += 1
    before, after = encoder(values, grids).view(4, 8, -1), encoder(changed, grids).view(4, 8, -1)
    torch.testing.assert_close(before[:, :4], after[:, :4], **CLOSE)
    assert (before[:, 4:] - after[:, 4:]).abs().max() > 1e-3


def test_pictures_together_equal_pictures_alone():
    encoder, grids = tower(), [(1, 4, 6), (2, 10, 8)]
    values = patches(grids)
    alone = [encoder(values[:24], grids[:1]), encoder(values[24:], grids[1:])]
    torch.testing.assert_close(encoder(values, grids), torch.cat(alone), **CLOSE)


def test_embeddings_have_unit_length():
    embedded = tower()(patches([(1, 6, 6)]), [(1, 6, 6)])
    assert embedded.shape == (9, CONFIG.out_dim)
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(9))
