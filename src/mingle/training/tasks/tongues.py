"""Task `tongues`: a small thinker learns artificial languages of three modalities at once.

Each modality has tokens and topics of its own; a topic is a table that says what follows what.
Text outnumbers the others. For the study of balanced routing (docs/balance.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mingle.messages import ROUTED
from mingle.nn.attention import Packed
from mingle.nn.moe import Choice
from mingle.thinker.config import RopeConfig, SparseConfig, ThinkerConfig
from mingle.thinker.model import Thinker
from mingle.training.balance import loads, violations
from mingle.training.streams import Batch, Draw, numbered, seed_of
from mingle.training.task import Outcome, Task

LANGUAGE_SEED = 20  # the languages are the same for every run; only what is said differs


@dataclass(frozen=True, kw_only=True)
class TonguesModel:
    """A thinker of `num_layers`, the first dense, and the languages' size."""

    num_layers: int
    dim: int
    num_experts: int
    top_k: int
    expert_dim: int
    tokens_each: int
    topics_each: int


@dataclass(frozen=True, kw_only=True)
class TonguesData:
    """`rows` sequences a batch; in each, `runs` tokens of text, image and audio, one after another.

    A run of 112, 7, 7 is a mix of 16 to 1 to 1.
    """

    rows: int
    runs: tuple[int, int, int]


class TonguesTask(Task):
    """Next-token prediction inside each modality's run."""

    Model, Data = TonguesModel, TonguesData

    def build(self, config: TonguesModel) -> nn.Module:
        """A thinker with a router for each modality."""
        self.languages = [
            _language(kind, config.tokens_each, config.topics_each) for kind in ROUTED
        ]
        self.thinker = Thinker(_thinker(config))
        nn.init.normal_(self.thinker.embedding.weight, std=0.02)  # it is the output matrix too
        return self.thinker

    def batches(self, data: TonguesData, draw: Draw) -> Iterator[Batch]:
        """Sequences whose topic changes with every run; common topics are said more often."""

        def make(rng: np.random.Generator) -> np.ndarray:
            return np.stack([self._sequence(rng, data.runs) for _ in range(data.rows)])

        for position, ids in numbered(make, draw):
            batch = torch.from_numpy(ids)
            counts = {
                kind.name.lower(): data.rows * (run - 1)
                for kind, run in zip(ROUTED, data.runs, strict=True)
            }
            yield Batch(
                data=batch,
                samples=data.rows,
                tokens=batch.numel(),
                counts=counts,
                position=position,
            )

    def losses(self, batch: Batch, generator: torch.Generator) -> Outcome:
        """Cross-entropy of each modality, in nats per token."""
        ids: Tensor = batch.data
        rows, length = ids.shape
        each = self.config.tokens_each
        modality = (ids // each).flatten()
        positions = torch.arange(length, device=ids.device).repeat(rows).expand(3, -1)
        lengths = (length,) * rows
        hidden = self.thinker.embed_tokens(ids.flatten())
        hidden, routings = self.thinker(hidden, positions, modality, Packed(lengths))
        errors = _errors(self.thinker.logits(hidden), ids)
        kinds = torch.where(ids[:, 1:] // each == ids[:, :-1] // each, ids[:, 1:] // each, -1)
        found = {kind.name.lower(): errors[kinds == int(kind)].mean() for kind in ROUTED}
        return Outcome(losses=found, routings=routings, lengths=lengths)

    def evaluate(self, data: TonguesData, folder: Path) -> dict[str, float]:
        """Losses and violations on 32 batches that no run trains on."""
        stream = self.batches(data, Draw(seed=seed_of(LANGUAGE_SEED, 1)))
        outcomes = [self.losses(self.here(next(stream)), torch.Generator()) for _ in range(32)]
        figures = {
            f"loss/{name}": float(torch.stack([o.losses[name] for o in outcomes]).mean())
            for name in outcomes[0].losses
        }
        counted = torch.stack([loads(outcome.routings) for outcome in outcomes]).sum(0)
        return {**figures, **violations(counted)}

    def _sequence(self, rng: np.random.Generator, runs: tuple[int, int, int]) -> np.ndarray:
        return np.concatenate(
            [
                _speak(rng, language, length) + kind * self.config.tokens_each
                for kind, (language, length) in enumerate(zip(self.languages, runs, strict=True))
            ]
        )


def _language(kind: int, tokens: int, topics: int) -> np.ndarray:
    """For each topic and token its four successors, the likeliest first."""
    rng = np.random.default_rng((LANGUAGE_SEED, kind))
    return rng.integers(0, tokens, (topics, tokens, 4))


def _speak(rng: np.random.Generator, successors: np.ndarray, length: int) -> np.ndarray:
    topics, tokens, _ = successors.shape
    chances = 1 / np.arange(1, topics + 1)  # Zipf: the first topic is the commonest
    topic = rng.choice(topics, p=chances / chances.sum())
    choices = rng.choice(4, size=length, p=(0.6, 0.2, 0.15, 0.05))
    said = np.empty(length, dtype=np.int64)
    said[0] = rng.integers(tokens)
    for place in range(1, length):
        said[place] = successors[topic, said[place - 1], choices[place]]
    return said


def _errors(
    logits: Float[Tensor, "tokens vocab"], ids: Int[Tensor, "rows length"]
) -> Float[Tensor, "rows predicted"]:
    rows, length = ids.shape
    ahead = logits.unflatten(0, (rows, length))[:, :-1].flatten(0, 1)
    errors = F.cross_entropy(ahead, ids[:, 1:].flatten(), reduction="none")
    return errors.unflatten(0, (rows, length - 1))


def _thinker(config: TonguesModel) -> ThinkerConfig:
    head_dim, vocabulary = 16, config.tokens_each * len(ROUTED)
    choice = Choice(top_k=config.top_k, num_groups=1, top_groups=1, scale=1.0)
    return ThinkerConfig(
        vocab_size=vocabulary,
        output_size=vocabulary,
        dim=config.dim,
        num_layers=config.num_layers,
        num_heads=config.dim // head_dim,
        num_kv_heads=config.dim // head_dim,
        head_dim=head_dim,
        dense_dim=2 * config.dim,
        norm_eps=1e-6,
        qk_norm=True,
        tied_embeddings=True,
        max_positions=1024,
        rope=RopeConfig(theta=10000.0, rotary_dim=head_dim, axes="video_rope", sections=(2, 3, 3)),
        sparse=SparseConfig(
            layers=tuple(range(1, config.num_layers)),
            num_experts=config.num_experts,
            expert_dim=config.expert_dim,
            shared_dim=config.expert_dim,
            choice=choice,
            routers=ROUTED,
        ),
    )
