"""How far the transformer's sequences are filled up, and what the guide does."""

from dataclasses import replace

import pytest
import torch

from mingle.painter.backbones import build_transformer, velocity
from mingle.painter.config import TransformerConfig

CONFIG = TransformerConfig(
    latent_channels=4,
    patch_size=2,
    dim=16,
    num_layers=2,
    num_refiner_layers=1,
    num_heads=2,
    norm_eps=1e-5,
    token_dim=8,
    rope_theta=256.0,
    time_scale=1000.0,
    token_multiple=32,
    axes_dims=(2, 2, 4),
    axes_lens=(128, 16, 16),
)


def drawn(config: TransformerConfig, places: int = 0):
    """A transformer with random weights, filling tokens included."""
    torch.manual_seed(0)
    transformer = build_transformer(config, places).eval()
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.normal_(std=0.2)
    return transformer


TIME = torch.tensor([0.3, 0.6])


def given(words: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Latents of two pictures and their conditions, `words` and 7 long."""
    draw = torch.Generator().manual_seed(1)
    latents = torch.randn(2, 4, 8, 8, generator=draw)
    return latents, [torch.randn(rows, 8, generator=draw) for rows in (words, 7)]


@torch.no_grad()
def moved(transformer, words: int) -> torch.Tensor:
    latents, conditions = given(words)
    return velocity(transformer, latents, TIME, conditions)


@pytest.mark.parametrize("words", [5, 40])  # 7 and 40 are filled up to 32 and 64
@pytest.mark.parametrize("references", [0, 2])
@torch.no_grad()
def test_filled_to_32_it_is_the_library_s_own(words: int, references: int):
    from diffusers.models.transformers.transformer_z_image import ZImageTransformer2DModel

    ours = drawn(CONFIG)
    theirs = ZImageTransformer2DModel(**{k: v for k, v in ours.config.items() if k[0] != "_"})
    theirs.load_state_dict(ours.state_dict())
    latents, conditions = given(words)
    behind = torch.randn(2, 4, references, 8, 8) if references else None
    frames = latents[:, :, None] if behind is None else torch.cat((latents[:, :, None], behind), 2)
    expected = theirs.eval()(list(frames), TIME, conditions, return_dict=False)[0]
    found = velocity(ours, latents, TIME, conditions, behind)
    torch.testing.assert_close(found, torch.stack(expected)[:, :, 0], rtol=0, atol=0)


@pytest.mark.parametrize("multiple", [1, 4])
def test_less_filling_is_another_input_to_the_same_weights(multiple: int):
    small, released = drawn(replace(CONFIG, token_multiple=multiple)), drawn(CONFIG)
    assert (moved(small, 5) - moved(released, 5)).abs().max() > 1e-3
    # 8 x 8 latents are 16 tokens; with 32 words nothing but the picture is filled up
    assert small.state_dict().keys() == released.state_dict().keys()


def test_without_filling_a_picture_does_not_depend_on_the_filling_tokens():
    transformer = drawn(replace(CONFIG, token_multiple=1))
    before = moved(transformer, 5)
    with torch.no_grad():
        transformer.x_pad_token.add_(1)
        transformer.cap_pad_token.add_(1)
    torch.testing.assert_close(moved(transformer, 5), before, rtol=0, atol=0)


def test_a_guide_is_added_to_the_picture_and_is_not_among_the_words():
    guided, plain = drawn(replace(CONFIG, token_multiple=4), 16), drawn(CONFIG)
    draw = torch.Generator().manual_seed(1)
    latents, references = torch.randn(2, 4, 8, 8, generator=draw), torch.randn(2, 4, 1, 8, 8)
    words = [torch.randn(rows, 8, generator=draw) for rows in (5, 7)]
    guides = torch.randn(2, 16, 8, generator=draw)
    time = torch.tensor([0.3, 0.6])

    def led(guides: torch.Tensor) -> torch.Tensor:
        tokens = [torch.cat(pair) for pair in zip(guides, words, strict=True)]
        with torch.no_grad():
            return velocity(guided, latents, time, tokens, references)

    plain.token_multiple = 4
    plain.load_state_dict(
        {k: v for k, v in guided.state_dict().items() if not k.startswith("guide")}
    )
    with torch.no_grad():
        without = velocity(plain, latents, time, words, references)
    torch.testing.assert_close(led(torch.zeros_like(guides)), without)
    assert (led(guides) - without).abs().max() > 1e-3


def test_a_reference_beneath_moves_the_picture_and_costs_no_tokens():
    beneath = drawn(replace(CONFIG, token_multiple=4, references="beneath"))
    draw = torch.Generator().manual_seed(1)
    latents, reference = torch.randn(2, 2, 4, 8, 8, generator=draw)
    words = [torch.randn(rows, 8, generator=draw) for rows in (5, 7)]
    lengths: list[int] = []
    beneath.layers[0].register_forward_hook(lambda _m, _i, out: lengths.append(out.shape[1]))

    def moved_over(reference: torch.Tensor | None) -> torch.Tensor:
        frames = None if reference is None else reference[:, :, None]
        with torch.no_grad():
            return velocity(beneath, latents, torch.tensor([0.3, 0.6]), words, frames)

    nothing, something = moved_over(None), moved_over(reference)
    torch.testing.assert_close(moved_over(torch.zeros_like(reference)), nothing)
    assert (something - nothing).abs().max() > 1e-3
    assert something.shape == latents.shape
    assert set(lengths) == {16 + 8}
