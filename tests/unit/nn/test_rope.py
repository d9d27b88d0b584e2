"""Rotation: against the complex numbers it stands for."""

import torch

from mingle.nn.rope import inverse_frequencies, rotate, rotate_interleaved, rotation


def sample(head_dim=10, rotary_dim=6):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(7, 3, head_dim, generator=draw)
    return x, torch.arange(7)[:, None] * inverse_frequencies(rotary_dim, 100.0)


def test_halves_turn_as_complex_numbers_and_the_rest_passes_through():
    x, angles = sample()
    pairs = angles.shape[1]
    turned = torch.complex(x[..., :pairs], x[..., pairs : 2 * pairs])
    turned = turned * torch.polar(torch.ones_like(angles), angles)[:, None]
    expected = torch.cat((turned.real, turned.imag, x[..., 2 * pairs :]), dim=-1)
    torch.testing.assert_close(rotate(x, rotation(angles, x.dtype)), expected)


def test_interleaved_channels_turn_as_complex_numbers():
    x, angles = sample()
    width = 2 * angles.shape[1]
    turned = torch.view_as_complex(x[..., :width].unflatten(-1, (-1, 2)))
    turned = torch.view_as_real(turned * torch.polar(torch.ones_like(angles), angles)[:, None])
    expected = torch.cat((turned.flatten(-2), x[..., width:]), dim=-1)
    torch.testing.assert_close(rotate_interleaved(x, angles), expected)


def test_scores_depend_on_the_distance_only():
    q, k = torch.randn(2, 1, 1, 8, generator=torch.Generator().manual_seed(3))
    frequencies = inverse_frequencies(8, 100.0)

    def score(at, distance):
        turned = [
            rotate(x, rotation(torch.tensor([[p]]) * frequencies, x.dtype))
            for x, p in ((q, at + distance), (k, at))
        ]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score(0, 5), score(40, 5), atol=1e-5, rtol=1e-5)
    assert abs(score(0, 5) - score(0, 6)) > 1e-3
