"""Ears: log-mel frames of recordings -> thinker-width embeddings, about 25 a second."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.encoders.refiner import Refiner, RefinerConfig
from mingle.errors import ConfigError, InputError
from mingle.nn.attention import Attend, Mask, Packed

EVERYWHERE = Mask(causal=False)


@dataclass(frozen=True, kw_only=True)
class AudioConfig:
    """Sizes of one Whisper-type tower and its projector.

    `max_frames` counts encoder frames of 20 ms, one recording. The projector joins
    `projector_kernel` of them every `projector_stride`, and has `projector_depth` layers;
    `out_length` is the length that embeddings are brought to, None leaves them as they come. The
    released models have no refiner between the tower and the projector.
    """

    mels: int
    dim: int
    num_layers: int
    num_heads: int
    max_frames: int
    norm_eps: float
    refiner: RefinerConfig | None
    projector_kernel: int
    projector_stride: int
    projector_depth: int
    out_dim: int
    out_length: float | None

    def __post_init__(self) -> None:
        if self.out_length is not None and self.out_length <= 0:
            raise ConfigError(f"out_length is {self.out_length}; expected more than 0, or null")

    def num_embeddings(self, num_mel_frames: int) -> int:
        """Embeddings that a recording becomes: halved, then joined by the strides."""
        frames = (num_mel_frames - 1) // 2 + 1
        if self.refiner is not None:
            frames = -(-frames // self.refiner.stride)
        edges = 2 * (self.projector_kernel // 2) - self.projector_kernel
        return (frames + edges) // self.projector_stride + 1


class AudioEncoder(nn.Module):
    """Each recording is encoded by itself: no padding, and its neighbours change nothing."""

    positions: Tensor

    def __init__(self, config: AudioConfig):
        super().__init__()
        self.config = config
        dim, kernel = config.dim, config.projector_kernel
        self.conv1 = nn.Conv1d(config.mels, dim, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(dim, dim, kernel_size=3, stride=2, padding=1)
        self.register_buffer("positions", sinusoids(config.max_frames, dim))
        self.layers = nn.ModuleList(AudioLayer(config, i) for i in range(config.num_layers))
        self.norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.refiner = None if config.refiner is None else Refiner(dim, config.refiner)
        self.join = nn.Conv1d(
            dim, config.out_dim, kernel, stride=config.projector_stride, padding=kernel // 2
        )
        self.projector = nn.ModuleList(
            nn.Linear(config.out_dim, config.out_dim) for _ in range(config.projector_depth - 1)
        )

    def forward(
        self, recordings: Sequence[Float[Tensor, "_ mels"]]
    ) -> list[Float[Tensor, "_ out_dim"]]:
        """One tensor of embeddings for each recording; raises InputError for one too long."""
        joined = self.project(self.refine(self.encode(recordings)))
        return [self.scale(x) for x in joined]

    def encode(self, recordings: Sequence[Float[Tensor, "_ mels"]]) -> list[Float[Tensor, "_ dim"]]:
        """Frames of 20 ms, as the tower gives them."""
        pieces = [self._frames(mels) for mels in recordings]
        lengths = [piece.shape[0] for piece in pieces]
        attend, x = Packed(lengths), torch.cat(pieces)
        for layer in self.layers:
            x = layer(x, attend)
        return list(self.norm(x).split(lengths))

    def refine(self, encoded: Sequence[Float[Tensor, "_ dim"]]) -> list[Float[Tensor, "_ dim"]]:
        """Frames after the refiner, where there is one."""
        return list(encoded) if self.refiner is None else self.refiner(encoded)

    def project(
        self, encoded: Sequence[Float[Tensor, "_ dim"]]
    ) -> list[Float[Tensor, "_ out_dim"]]:
        """Fewer frames, in the thinker's width."""
        pieces = [self.join(x.T[None])[0].T for x in encoded]
        x = torch.cat(pieces)
        for layer in self.projector:
            x = layer(F.gelu(x))
        return list(x.split([piece.shape[0] for piece in pieces]))

    def scale(self, joined: Float[Tensor, "*_ out_dim"]) -> Float[Tensor, "*_ out_dim"]:
        """Embeddings of the configured length."""
        length = self.config.out_length
        return joined if length is None else F.normalize(joined, dim=-1) * length

    def _frames(self, mels: Float[Tensor, "_ mels"]) -> Float[Tensor, "_ dim"]:
        x = F.gelu(self.conv1(mels.T[None]))
        x = F.gelu(self.conv2(x))[0].T
        if x.shape[0] > self.config.max_frames:
            raise InputError(
                f"a recording of {x.shape[0] * 0.02:.1f} s is longer than the "
                f"{self.config.max_frames * 0.02:.1f} s the model hears at once; cut it in parts"
            )
        return x + self.positions[: x.shape[0]]


class AudioLayer(nn.Module):
    """x += attention(norm(x)); x += feed_forward(norm(x)). Keys have no bias."""

    def __init__(self, config: AudioConfig, index: int):
        super().__init__()
        dim = config.dim
        self.index, self.num_heads = index, config.num_heads
        self.attention_norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.feed_forward_norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.up = nn.Linear(dim, 4 * dim)
        self.down = nn.Linear(4 * dim, dim)

    def forward(
        self, x: Float[Tensor, "frames dim"], attend: Attend
    ) -> Float[Tensor, "frames dim"]:
        normed = self.attention_norm(x)
        q, k, v = (
            project(normed).unflatten(-1, (self.num_heads, -1))
            for project in (self.query, self.key, self.value)
        )
        x = x + self.out(attend(self.index, q, k, v, EVERYWHERE).flatten(1))
        return x + self.down(F.gelu(self.up(self.feed_forward_norm(x))))


def sinusoids(length: int, dim: int) -> Float[Tensor, "length dim"]:
    """Whisper's positions: sines, then cosines, wavelengths from 2 pi to 10000 * 2 pi."""
    half = dim // 2
    rates = torch.exp(-torch.arange(half) * (torch.log(torch.tensor(10000.0)) / (half - 1)))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
