"""What the connector makes of the thinker's states."""

from dataclasses import replace

import pytest
import torch
from miniature.brush import TINY_PAINTER

from mingle.errors import ConfigError
from mingle.painter.condition import Connector, Standardise
from mingle.painter.denoise import Aim, denoise, noise
from mingle.painter.glyphs import quoted
from mingle.painter.model import Painter
from mingle.painter.schedule import Spacing, noise_levels

DEAF = replace(TINY_PAINTER.condition.connector, num_layers=0, windows=())
LONG_AND_SHORT = ("ABCDEF", "ABCX", "ABCD")


def test_states_are_seen_as_they_differ():
    torch.manual_seed(0)
    common, spread = torch.randn(12) * 10, torch.rand(12) + 0.1
    standardise = Standardise(12)
    for _ in range(20):
        standardise(common + spread * torch.randn(100, 12))
    seen = standardise.eval()(common + spread * torch.randn(1000, 12))
    torch.testing.assert_close(seen.mean(0), torch.zeros(12), rtol=0, atol=0.15)
    torch.testing.assert_close(seen.std(0), torch.ones(12), rtol=0, atol=0.1)
    counted = standardise.rows.clone()
    standardise(torch.randn(5, 12))
    assert standardise.rows == counted == 2000


def test_places_come_first_and_are_told_letters():
    torch.manual_seed(0)
    connector = Connector(TINY_PAINTER.condition).eval()
    hidden = [torch.randn(3, 12), torch.randn(5, 12)]
    letters = [torch.randn(3, 16), torch.zeros(0, 16)]
    with torch.no_grad():
        plain, lettered = connector(hidden), connector(hidden, letters)
    assert [len(rows) for rows in plain] == [len(rows) for rows in lettered] == [4 + 3, 4 + 5]
    assert (plain[0][:4] - lettered[0][:4]).abs().min() > 0
    torch.testing.assert_close(plain[1], lettered[1])


def test_places_are_told_what_the_eyes_see_there():
    torch.manual_seed(0)
    connector = Connector(replace(TINY_PAINTER.condition, connector=DEAF)).eval()
    hidden, sight = [torch.randn(3, 12), torch.randn(5, 12)], torch.randn(4, 12)
    other = torch.cat((sight[:1], torch.randn(1, 12), sight[2:]))
    with torch.no_grad():
        seen, changed = (connector(hidden, None, [sight, rows]) for rows in (sight, other))
        blind = connector(hidden)
    assert (seen[0][:4] - blind[0][:4]).abs().amax(1).min() > 0
    torch.testing.assert_close(seen[0], changed[0])
    with torch.no_grad():
        mixed = connector(hidden, None, [None, sight])
    torch.testing.assert_close(mixed[0], blind[0])  # its mate's picture is not its own
    torch.testing.assert_close(mixed[1], seen[1])
    told = (seen[1] - changed[1]).abs().amax(1)
    assert told[1] > 1e-3
    assert told[[0, 2, 3]].max() < 1e-6  # without attention a place knows its own sight only


def test_text_that_does_not_fit_is_told_once_and_cut(caplog: pytest.LogCaptureFixture):
    torch.manual_seed(0)
    painter = Painter(TINY_PAINTER).eval()
    hidden = [torch.randn(3, 12)]
    with torch.no_grad():
        long, other, short = (painter.condition(hidden, [quoted(t)])[0] for t in LONG_AND_SHORT)
    assert caplog.messages.count("text to draw has 6 bytes, only the first 4 have room") == 1
    assert not torch.equal(long, other)
    assert long.shape == short.shape


def test_as_many_places_as_tokens():
    condition = replace(TINY_PAINTER.condition, places=9)
    with pytest.raises(ConfigError, match="has 9 places and a canvas of 32x32 has 4 tokens"):
        Painter(replace(TINY_PAINTER, condition=condition))


def test_eyes_need_places_and_one_picture():
    blind = replace(TINY_PAINTER.condition, places=0)
    with pytest.raises(ConfigError, match="sees pictures, but has no places"):
        Painter(replace(TINY_PAINTER, condition=blind))
    with pytest.raises(ConfigError, match="keeps latents, but has no places"):
        Painter(replace(TINY_PAINTER, condition=replace(blind, sight_dim=0)))
    with pytest.raises(ConfigError, match="max_references is 2; expected 1"):
        Painter(replace(TINY_PAINTER, max_references=2))


@pytest.mark.parametrize("spacing", ["useful", "reference"])
def test_what_an_edit_keeps_comes_out_as_it_was(spacing: Spacing):
    torch.manual_seed(0)
    painter = Painter(TINY_PAINTER).eval()
    with torch.no_grad():
        conditions = painter.condition([torch.randn(3, 12)], [""], [torch.randn(4, 12)])
        painter.keep.weight.zero_()  # the first latent of each place stays, the others do not
        painter.keep.bias.copy_(torch.tensor([2.0, -2.0, 0.5, -2.0]))
        kept = painter.kept(conditions)
    assert kept[0].nonzero().tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]
    reference = torch.randn(1, 4, 1, 4, 4)
    painted = denoise(
        painter,
        noise((5,), (4, 4, 4)),
        Aim(conditions=conditions, guidance=2.0, references=reference, kept=kept),
        levels=noise_levels(TINY_PAINTER.schedule, steps=3, num_tokens=4, spacing=spacing),
    )
    error = (painted - reference[:, :, 0]).abs().amax(1)
    assert error[kept].max() < 1e-5
    assert error[~kept].min() > 1e-3


def test_eyes_must_have_seen_as_many_pictures_as_are_asked_about():
    connector = Connector(TINY_PAINTER.condition).eval()
    hidden = [torch.randn(3, 12), torch.randn(5, 12)]
    with pytest.raises(AssertionError, match=r"\(1, 2\)"):
        connector(hidden, None, [torch.randn(4, 12)])
