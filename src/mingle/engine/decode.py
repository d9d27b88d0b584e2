"""One step of the model for many requests at once: prompt pieces and single tokens in one row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from mingle.engine.activity import ExpertUse
from mingle.engine.prefix import Memory, tail
from mingle.engine.sampling import Choice, Sampler, choose_all
from mingle.engine.scheduler import Work
from mingle.messages import Modality
from mingle.model import Embedded
from mingle.nn.attention import Cached
from mingle.nn.cache import KVCache
from mingle.processing.inputs import Prompt

Keys = Int64[np.ndarray, " tokens"]


@runtime_checkable
class Model(Protocol):
    """What decoding needs of a model (`mingle.model.OmniModel`, or a fake of ten lines)."""

    thinker: Any

    def embed(self, prompt: Prompt) -> Embedded: ...


@dataclass(kw_only=True)
class Strand:
    """One request on its way through the model: what it holds, what it has still to read.

    `memory.keys` are all tokens known so far: the prompt's, then those sampled; the cache lags
    behind by the unread part of the prompt, later by the last token. `reply` is what sampled
    tokens are to the routers.
    """

    memory: Memory
    sampler: Sampler
    unread: Embedded | None
    unread_from: int
    device: torch.device
    reply: Modality


def open_strand(
    model: Model, prompt: Prompt, memory: Memory | None, *, keys: Keys, sampler: Sampler
) -> Strand:
    """Embed what no reused memory covers (media encoders run here) and place it behind it."""
    memory = memory or empty_memory(model)
    start, offset = len(memory.keys), int(memory.positions[-1])
    embedded = model.embed(tail(prompt, start))
    unread = replace(
        embedded,
        positions=embedded.positions + offset,
        next_position=embedded.next_position + offset,
    )
    times = [*unread.positions[0].tolist(), unread.next_position]
    sampler.see(torch.from_numpy(prompt.ids).to(embedded.hidden.device))
    return Strand(
        memory=Memory(
            keys=keys,
            positions=np.concatenate((memory.positions[:-1], np.array(times, np.int64))),
            cache=memory.cache,
        ),
        sampler=sampler,
        unread=unread,
        unread_from=start,
        device=embedded.hidden.device,
        reply=embedded.reply,
    )


def empty_memory(model: Model) -> Memory:
    """A memory of nothing: the first token will stand at position 0."""
    cache = KVCache(model.thinker.config.num_layers)
    return Memory(keys=np.empty(0, np.int64), positions=np.zeros(1, np.int64), cache=cache)


def compute(
    model: Model, batch: Sequence[tuple[Strand, Work]], experts: ExpertUse | None = None
) -> list[Choice | None]:
    """Run one packed step; return for each work its chosen token, or None where none was asked.

    A step that raises leaves every cache as it was. `experts` counts how tokens were routed.
    """
    hidden, positions, modality = _pack(model, batch)
    attend = Cached([s.memory.cache for s, _ in batch], [work.length for _, work in batch])
    hidden, routing = model.thinker(hidden, positions, modality, attend)
    sampling = [i for i, (_, work) in enumerate(batch) if work.sample]
    choices: list[Choice | None] = [None] * len(batch)
    if sampling:
        last = [attend.bounds[i + 1] - 1 for i in sampling]
        chosen = choose_all(
            model.thinker.logits(hidden[last]), [batch[i][0].sampler for i in sampling]
        )
        for i, choice in zip(sampling, chosen, strict=True):
            choices[i] = choice
    attend.commit()
    if experts is not None:
        experts.note(routing)
    for (strand, _), choice in zip(batch, choices, strict=True):
        if choice is not None:
            _extend(strand, choice.token)
    return choices


def cached_memory(strand: Strand, *, ahead: bool) -> Memory:
    """What the cache of an ended request holds, ready to be reused. `ahead`: see Memory."""
    memory = strand.memory
    length = memory.cache.length
    return Memory(
        keys=memory.keys[:length],
        positions=memory.positions[: length + 1],
        cache=memory.cache,
        ahead=ahead,
    )


def _extend(strand: Strand, token: int) -> None:
    """The sampled token is read next, as text, and stands one position further."""
    memory = strand.memory
    strand.unread = None
    memory.keys = np.append(memory.keys, token)
    memory.positions = np.append(memory.positions, memory.positions[-1] + 1)


def _pack(
    model: Model, batch: Sequence[tuple[Strand, Work]]
) -> tuple[Float[Tensor, "tokens dim"], Int[Tensor, "3 tokens"], Int[Tensor, " tokens"]]:
    """Sampled tokens are looked up together; the pieces of prompts that follow were embedded."""
    decoding = [strand for strand, _ in batch if strand.unread is None]
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    if decoding:
        device = decoding[0].device
        ids = torch.tensor([int(s.memory.keys[-1]) for s in decoding], device=device)
        at = torch.tensor([int(s.memory.positions[-2]) for s in decoding], device=device)
        text = torch.tensor([int(strand.reply) for strand in decoding], device=device)
        parts.append((model.thinker.embed_tokens(ids), at.expand(3, -1), text))
    for strand, work in batch[len(decoding) :]:
        unread, start = strand.unread, work.start - strand.unread_from
        assert unread is not None, "the scheduler puts those that decode first"
        cut = slice(start, start + work.length)
        parts.append((unread.hidden[cut], unread.positions[:, cut], unread.modality[cut]))
    if len(parts) == 1:
        return parts[0]
    hidden, positions, modality = zip(*parts, strict=True)
    return torch.cat(hidden), torch.cat(positions, dim=1), torch.cat(modality)
