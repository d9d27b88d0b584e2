"""The smallest modules of each perception room; built in milliseconds, random by seed."""

import random

import torch
from torch import nn

from mingle.encoders.audio import AudioConfig, AudioEncoder
from mingle.encoders.refiner import RefinerConfig
from mingle.encoders.vision import VisionConfig, VisionEncoder
from mingle.messages import ROUTED, Modality
from mingle.nn.moe import Choice
from mingle.thinker.config import RopeConfig, SparseConfig, ThinkerConfig
from mingle.thinker.model import Thinker

TINY_THINKER = ThinkerConfig(
    vocab_size=40,
    output_size=40,
    dim=16,
    num_layers=3,
    num_heads=4,
    num_kv_heads=2,
    head_dim=16,
    dense_dim=24,
    norm_eps=1e-6,
    qk_norm=True,
    tied_embeddings=False,
    max_positions=512,
    rope=RopeConfig(theta=10000.0, rotary_dim=8, axes="video_rope", sections=(2, 1, 1)),
    sparse=SparseConfig(
        layers=(1, 2),
        num_experts=8,
        expert_dim=8,
        shared_dim=12,
        choice=Choice(top_k=2, num_groups=4, top_groups=2, scale=2.5),
        routers=ROUTED,
    ),
)

TINY_VISION = VisionConfig(
    channels=3,
    patch_side=4,
    patch_frames=2,
    position_rows=5,
    dim=16,
    num_layers=2,
    num_heads=2,
    inner_dim=24,
    norm_eps=1e-6,
    rope_theta=10000.0,
    merge=2,
    merged_dim=20,
    projector_depth=2,
    out_dim=TINY_THINKER.dim,
    out_length=1.0,
)

TINY_AUDIO = AudioConfig(
    mels=12,
    dim=16,
    num_layers=2,
    num_heads=2,
    max_frames=60,
    norm_eps=1e-5,
    refiner=RefinerConfig(
        stride=2,
        num_layers=1,
        kernel=3,
        inner_dim=20,
        alphabet=" abc",
        letters_per_frame=2,
    ),
    projector_kernel=3,
    projector_stride=1,
    projector_depth=2,
    out_dim=TINY_THINKER.dim,
    out_length=1.0,
)


def tiny_thinker(seed: int = 0, config: ThinkerConfig = TINY_THINKER) -> Thinker:
    """A thinker with random weights, selection biases included."""
    thinker = Thinker(config)
    stir(thinker, seed)
    for name, buffer in thinker.named_buffers():
        assert name.endswith("selection_bias")
        buffer.copy_(0.3 * torch.randn(buffer.shape, generator=_draw(seed)))
    return thinker


def tiny_vision(seed: int = 0) -> VisionEncoder:
    """A vision tower with random weights."""
    encoder = VisionEncoder(TINY_VISION)
    stir(encoder, seed)
    return encoder


def tiny_audio(seed: int = 0) -> AudioEncoder:
    """An audio tower with random weights."""
    encoder = AudioEncoder(TINY_AUDIO)
    stir(encoder, seed)
    return encoder


def random_thinker_config(seed: int) -> ThinkerConfig:
    """Any shape the config allows: dense or sparse, one router or three, both kinds of axes."""
    pick = random.Random(seed)
    kv_heads, head_dim = pick.choice((1, 2)), pick.choice((8, 12))
    layers, groups = pick.randint(1, 4), pick.choice((1, 2, 4))
    return ThinkerConfig(
        vocab_size=30,
        output_size=pick.choice((20, 30)),
        dim=12,
        num_layers=layers,
        num_heads=kv_heads * pick.choice((1, 3)),
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        dense_dim=10,
        norm_eps=1e-5,
        qk_norm=pick.random() < 0.5,
        tied_embeddings=pick.random() < 0.5,
        max_positions=256,
        rope=_rope(pick, head_dim),
        sparse=None if pick.random() < 0.2 else _sparse(pick, layers, groups),
    )


def _rope(pick: random.Random, head_dim: int) -> RopeConfig:
    side, time = 1, pick.choice((0, head_dim // 2 - 2))
    return RopeConfig(
        theta=1000.0,
        rotary_dim=2 * (time + 2 * side),
        axes=pick.choice(("video_rope", "3d")),
        sections=(time, side, side),
    )


def _sparse(pick: random.Random, layers: int, groups: int) -> SparseConfig:
    top_groups = pick.randint(1, groups)
    each = pick.choice((1, 2, 3))
    return SparseConfig(
        layers=tuple(i for i in range(layers) if pick.random() < 0.7),
        num_experts=each * groups,
        expert_dim=6,
        shared_dim=pick.choice((4, 10)),
        choice=Choice(
            top_k=pick.randint(1, each * top_groups),
            num_groups=groups,
            top_groups=top_groups,
            scale=pick.choice((1.0, 2.5)),
        ),
        routers=pick.choice(((Modality.TEXT,), ROUTED, (Modality.TEXT, Modality.AUDIO))),
    )


@torch.no_grad()
def stir(module: nn.Module, seed: int) -> None:
    """Draw every parameter anew, and freeze it: none is zero or one."""
    draw = _draw(seed)
    for name, parameter in module.requires_grad_(False).named_parameters():
        noise = torch.randn(parameter.shape, generator=draw)
        if parameter.ndim > 1:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)
        else:
            parameter.copy_(0.2 * noise + (not name.endswith("bias")))


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
