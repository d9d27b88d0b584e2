"""Task `text`: a byte-level language model on text files; the smallest complete task."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.errors import ConfigError
from mingle.nn.attention import Packed
from mingle.nn.transformer import Decoder, DecoderConfig, positions_of
from mingle.training.streams import Batch, Draw, numbered
from mingle.training.task import Outcome, Task

NUM_BYTES = 256


@dataclass(frozen=True, kw_only=True)
class TextModel:
    """Sizes of the decoder."""

    num_layers: int
    dim: int
    num_heads: int
    inner_dim: int


@dataclass(frozen=True, kw_only=True)
class TextData:
    """Files of text; each batch is `rows` windows of `length` bytes."""

    files: tuple[Path, ...]
    rows: int
    length: int


class ByteModel(nn.Module):
    """Embedding, decoder, and the embedding again as the output matrix."""

    def __init__(self, config: TextModel):
        super().__init__()
        self.embedding = nn.Embedding(NUM_BYTES, config.dim)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.decoder = Decoder(
            DecoderConfig(
                num_layers=config.num_layers,
                dim=config.dim,
                num_heads=config.num_heads,
                num_kv_heads=config.num_heads,
                head_dim=config.dim // config.num_heads,
                inner_dim=config.inner_dim,
                norm_eps=1e-6,
                rope_theta=10000.0,
                qkv_bias=False,
                causal=True,
                windows=(None,) * config.num_layers,
            )
        )

    def forward(
        self, ids: Int[Tensor, " tokens"], lengths: tuple[int, ...]
    ) -> Float[Tensor, "tokens vocabulary"]:
        """Scores for the byte after each byte."""
        positions = positions_of(lengths, ids.device)
        hidden = self.decoder(self.embedding(ids), positions, Packed(lengths))
        return hidden @ self.embedding.weight.T


class TextTask(Task):
    """Next-byte prediction."""

    Model, Data = TextModel, TextData

    def build(self, config: TextModel) -> nn.Module:
        """The byte model, freshly initialised."""
        return ByteModel(config)

    def batches(self, data: TextData, draw: Draw) -> Iterator[Batch]:
        """Random windows of the files."""
        text = np.concatenate([_read(path, data.length) for path in data.files])

        def window(rng: np.random.Generator) -> np.ndarray:
            starts = rng.integers(0, len(text) - data.length, data.rows)
            return np.stack([text[start : start + data.length + 1] for start in starts])

        for position, rows in numbered(window, draw):
            tokens = data.rows * data.length
            ids = torch.from_numpy(rows.astype(np.int64))
            yield Batch(data=ids, samples=data.rows, tokens=tokens, position=position)

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """Cross-entropy in nats per byte."""
        ids = batch.data
        scores = self.model(ids[:, :-1].flatten(), (ids.shape[1] - 1,) * len(ids))
        return Outcome(losses={"text": F.cross_entropy(scores, ids[:, 1:].flatten())})


def _read(path: Path, length: int) -> np.ndarray:
    try:
        text = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise ConfigError(f"data.files: cannot read {path}: {error.strerror}") from error
    if len(text) <= length:
        raise ConfigError(f"data.files: {path} has {len(text)} bytes, expected over {length}")
    return text
