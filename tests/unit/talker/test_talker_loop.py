"""The talker's loop: cached equals uncached, every ending has its last patch."""

import pytest
import torch
from miniature.speech import drawn, tiny_speech

from mingle.nn.attention import Packed
from mingle.talker.flow_head import FlowOptions, draw_noise
from mingle.talker.model import LoopOptions

FLOW = FlowOptions(steps=2)


def spoken(talker, options, prompt=None):
    prompt = (
        torch.randn(7, 16, generator=torch.Generator().manual_seed(3)) if prompt is None else prompt
    )
    generator = torch.Generator().manual_seed(4)

    def noise(step):
        return draw_noise(talker.config.flow, 2, generator, prompt)

    return prompt, list(talker.patches(prompt, talker.first_history(None), options, noise))


@torch.no_grad()
def test_cached_steps_equal_the_whole_sequence_at_once():
    talker = tiny_speech().talker
    prompt, patches = spoken(talker, LoopOptions(flow=FLOW, min_patches=5, max_patches=5))
    fed = talker.patch_encoder(torch.stack([patch.latents for patch in patches[:-1]]))
    sequence = torch.cat((prompt, fed))
    whole = talker(sequence, torch.arange(len(sequence)), Packed([len(sequence)]))
    hidden = torch.stack([patch.hidden for patch in patches])
    torch.testing.assert_close(hidden, whole[len(prompt) - 1 :], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("bias", "count", "cut"), [(50.0, 3, False), (-50.0, 6, True)])
def test_the_last_patch_is_told_whether_the_talker_or_a_limit_ends(bias, count, cut):
    talker = tiny_speech().talker
    with torch.no_grad():
        talker.stop_head.bias.copy_(torch.tensor([0.0, bias]))
    _, patches = spoken(talker, LoopOptions(flow=FLOW, min_patches=3, max_patches=6))
    assert len(patches) == count
    assert [patch.last for patch in patches] == [False] * (count - 1) + [True]
    assert patches[-1].cut is cut


def test_positions_end_the_loop_too():
    talker = tiny_speech().talker
    _, patches = spoken(talker, LoopOptions(flow=FLOW, min_patches=50, max_positions=7 + 4))
    assert len(patches) == 4
    assert patches[-1].cut


def test_nothing_is_computed_that_nobody_asks_for():
    talker = tiny_speech().talker
    asked = []

    def noise(step):
        asked.append(step)
        return draw_noise(talker.config.flow, 2, torch.Generator().manual_seed(0), torch.zeros(1))

    loop = talker.patches(
        torch.zeros(3, 16), talker.first_history(None), LoopOptions(flow=FLOW), noise
    )
    next(loop)
    next(loop)
    loop.close()
    assert asked == [0, 1]


def test_a_recording_stands_at_the_end_of_the_history():
    talker = tiny_speech().talker
    short, long = torch.ones(3, 6), torch.arange(72.0).reshape(12, 6)
    history = talker.first_history(short)
    assert torch.equal(history, torch.cat((torch.zeros(5, 6), short)))
    assert torch.equal(talker.first_history(long), long[-8:])
    assert torch.equal(talker.first_history(None), torch.zeros(8, 6))


def test_patches_are_encoded_each_by_itself():
    encoder = drawn(tiny_speech().talker.patch_encoder)
    patches = torch.randn(3, 4, 6)
    together = encoder(patches)
    alone = torch.cat([encoder(patch[None]) for patch in patches])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
