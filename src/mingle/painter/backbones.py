"""The two library models behind the painter: how they are built, and how they are called.

diffusers' modules compute bit for bit what the released ones do (SPEC_GENERATION B2, B3); their
import takes seconds, so it happens when one is built.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.errors import missing_extra
from mingle.painter.config import AutoencoderConfig, TransformerConfig

Tokens = Float[Tensor, "_ token_dim"]


def build_transformer(config: TransformerConfig, places: int = 0) -> nn.Module:
    """A Z-Image transformer with untrained parameters.

    The first `places` tokens of a condition are added to the picture's, those of the same place.
    """
    try:
        from mingle.painter.zimage import ZImage
    except ImportError as error:
        raise missing_extra("image", "diffusers") from error
    transformer = ZImage(
        all_patch_size=(config.patch_size,),
        all_f_patch_size=(1,),
        in_channels=config.latent_channels,
        dim=config.dim,
        n_layers=config.num_layers,
        n_refiner_layers=config.num_refiner_layers,
        n_heads=config.num_heads,
        n_kv_heads=config.num_heads,
        norm_eps=config.norm_eps,
        qk_norm=True,
        cap_feat_dim=config.token_dim,
        rope_theta=config.rope_theta,
        t_scale=config.time_scale,
        axes_dims=list(config.axes_dims),
        axes_lens=list(config.axes_lens),
    )
    transformer.token_multiple = config.token_multiple
    transformer.num_places = places
    if places:
        transformer.guide = nn.Linear(config.token_dim, config.dim, bias=False)
    if config.references == "beneath":
        transformer.lays_beneath = True
        patch = config.latent_channels * config.patch_size**2
        transformer.beneath = nn.Linear(patch, config.dim, bias=False)
    return transformer


def build_autoencoder(config: AutoencoderConfig) -> nn.Module:
    """An AutoencoderKL with untrained parameters."""
    try:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    except ImportError as error:
        raise missing_extra("image", "diffusers") from error
    levels = len(config.channels)
    colours = 3 * config.pixel_patch**2
    build: Any = AutoencoderKL  # its annotations speak of one level
    return build(
        in_channels=colours,
        out_channels=colours,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.channels,
        layers_per_block=config.layers_per_level,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        scaling_factor=config.scale,
        shift_factor=config.shift,
        use_quant_conv=config.quant_conv,
        use_post_quant_conv=config.post_quant_conv,
        mid_block_add_attention=config.mid_attention,
    )


def velocity(
    transformer: Any,
    latents: Float[Tensor, "batch channels rows columns"],
    t: Float[Tensor, " batch"],
    conditions: Sequence[Tokens],
    references: Float[Tensor, "batch channels frames rows columns"] | None = None,
) -> Float[Tensor, "batch channels rows columns"]:
    """d latents / d t at time t, from 0 (noise) to 1 (picture).

    References stand beside the noise on the frame axis; their part of the output is dropped.
    (SPEC_GENERATION B2) Or the transformer lays the only one beneath.
    """
    frames = latents[:, :, None]  # batch channels 1 rows columns
    if references is not None:
        frames = torch.cat((frames, references), dim=2)
    return transformer(frames, t, conditions)


def posterior(autoencoder: Any, pixels: Float[Tensor, "batch 3 height width"]) -> Any:
    """The library's distribution of the autoencoder's own latents, from pixels in [-1, 1]."""
    return autoencoder.encode(F.pixel_unshuffle(pixels, _pixel_patch(autoencoder))).latent_dist


def to_pixels(
    autoencoder: Any, latents: Float[Tensor, "batch channels rows columns"]
) -> Float[Tensor, "batch 3 height width"]:
    """The autoencoder's own latents -> pixels around [-1, 1], not clamped."""
    return F.pixel_shuffle(autoencoder.decode(latents).sample, _pixel_patch(autoencoder))


def encode(
    autoencoder: Any, pixels: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, "batch channels rows columns"]:
    """Pixels in [-1, 1] -> latents as the transformer works on them (the posterior's mean)."""
    config = autoencoder.config
    return (posterior(autoencoder, pixels).mode() - config.shift_factor) * config.scaling_factor


def decode(
    autoencoder: Any, latents: Float[Tensor, "batch channels rows columns"]
) -> Float[Tensor, "batch 3 height width"]:
    """Latents as the transformer works on them -> pixels around [-1, 1], not clamped."""
    config = autoencoder.config
    return to_pixels(autoencoder, latents / config.scaling_factor + config.shift_factor)


def _pixel_patch(autoencoder: Any) -> int:
    return math.isqrt(autoencoder.config.in_channels // 3)
