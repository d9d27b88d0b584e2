"""Text along the speech: who is told what, and when it ends."""

import pytest
import torch
from miniature.speech import TINY_ALIGNED, drawn

from mingle.talker.aligned import AlignedText, Timed
from mingle.talker.flow_head import FlowOptions, draw_noise
from mingle.talker.speech import SpeechModel

CONFIG = TINY_ALIGNED.talker.aligned
DIM = TINY_ALIGNED.talker.lm.dim


@pytest.fixture
def text():
    return drawn(AlignedText(CONFIG, 8, DIM))


def timed(text, ends_s):
    ends = torch.tensor(ends_s)
    phones = torch.arange(len(ends_s)) % len(CONFIG.phones)
    features = text.read(phones, (len(ends_s),), torch.ones(1, 8))
    return Timed(features=features, ends_s=ends)


@torch.no_grad()
def test_speech_takes_as_many_patches_as_the_phones_last(text):
    assert len(text.spread(timed(text, [0.1, 0.3, 0.8]))) == 10
    assert len(text.spread(timed(text, [0.1, 0.3, 0.81]))) == 11
    assert len(text.spread(timed(text, [0.01]))) == 1


@torch.no_grad()
def test_a_patch_is_told_its_own_phones_and_its_neighbours_alone(text):
    before = timed(text, [0.4, 0.8, 1.2])
    changed = before.features.clone()
    changed[2] += 1.0  # sounds from 0.8 s on: patch 10
    after = Timed(features=changed, ends_s=before.ends_s)
    differs = (text.spread(before) - text.spread(after)).abs().amax(1) > 1e-6
    assert differs.nonzero().flatten().tolist() == [9, 10, 11, 12, 13, 14]


@torch.no_grad()
def test_a_phone_shorter_than_a_slice_is_still_heard(text):
    before = timed(text, [0.2, 0.205, 0.4])
    changed = before.features.clone()
    changed[1] += 1.0
    after = Timed(features=changed, ends_s=before.ends_s)
    assert not torch.allclose(text.spread(before), text.spread(after))


@torch.no_grad()
def test_texts_in_a_batch_do_not_see_each_other(text):
    one, other = torch.tensor([1, 2, 3]), torch.tensor([4, 5])
    speakers = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    packed = text.read(torch.cat((one, other)), (3, 2), speakers)
    alone = torch.cat([text.read(one, (3,), speakers[:1]), text.read(other, (2,), speakers[1:])])
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_one_patch_is_drawn_for_each_row_and_the_last_one_says_so():
    talker = drawn(SpeechModel(TINY_ALIGNED)).talker
    rows, generator = torch.zeros(5, DIM), torch.Generator().manual_seed(0)
    options = FlowOptions(steps=2)

    def noise(step):
        return draw_noise(talker.config.flow, 2, generator, talker.like)

    patches = list(talker.patches_along(rows, talker.first_history(None), options, noise))
    assert [patch.last for patch in patches] == [False] * 4 + [True]
    assert not any(patch.cut for patch in patches)
