"""How the next token is chosen: greedy or drawn, each request with its own generator.

The order of steps is the usual one: repetition penalty, temperature, top-k, top-p, min-p. Every
row is treated alone, so a request's tokens do not depend on who shares its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mingle.errors import InputError
from mingle.messages import SamplingOptions

HEAD = (
    256  # likeliest tokens looked at first; a nucleus rarely reaches further, sorting all is slow
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A chosen token. Logprobs are the model's own (before penalty, temperature and limits)."""

    token: int
    logprob: float | None = None
    alternatives: tuple[tuple[int, float], ...] = ()


class Sampler:
    """The sampling state of one request: its options, its generator, the tokens it has seen.

    `ends` are the tokens that end an answer: the repetition penalty spares them. Raises
    InputError for options outside their range.
    """

    def __init__(self, options: SamplingOptions, *, vocab_size: int, ends: Sequence[int] = ()):
        check_options(options)
        self.options = options
        self.vocab_size = vocab_size
        self.ends = torch.tensor(ends, dtype=torch.long)
        self._generator = torch.Generator()
        if options.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(options.seed)
        self._seen: Tensor | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the likeliest token is taken and nothing else is asked."""
        options = self.options
        return (
            options.temperature == 0
            and options.repetition_penalty == 1
            and options.logprobs is None
        )

    def see(self, ids: Int[Tensor, " tokens"]) -> None:
        """Remember tokens that the repetition penalty counts as said (the prompt's, and chosen)."""
        if self.options.repetition_penalty == 1:
            return
        if self._seen is None:
            self._seen = torch.zeros(self.vocab_size, dtype=torch.bool, device=ids.device)
        self._seen[ids[(ids >= 0) & (ids < self.vocab_size)]] = True
        self._seen[self.ends.to(ids.device)] = False  # a prompt's turns ended too: this one may

    def choose(self, logits: Float[Tensor, " vocab"]) -> Choice:
        """Choose one token from one row of logits."""
        logits = logits.float()
        wanted = logits
        if self._seen is not None:
            wanted = penalise(logits, self._seen, self.options.repetition_penalty)
        token = int(wanted.argmax()) if self.options.temperature == 0 else self._draw(wanted)
        self.see(torch.tensor([token], device=logits.device))
        if self.options.logprobs is None:
            return Choice(token=token)
        return _with_logprobs(logits, token, self.options.logprobs)

    def _draw(self, logits: Float[Tensor, " vocab"]) -> int:
        weights, tokens = candidates(logits, self.options)
        # one number a token, drawn on the CPU: the same seed gives the same stream everywhere
        share = torch.rand((), generator=self._generator, dtype=torch.float64).item()
        heights = weights.double().cumsum(0)
        at = int(torch.searchsorted(heights, share * heights[-1], right=True))
        at = min(at, len(weights) - 1)
        return at if tokens is None else int(tokens[at])


def choose_all(logits: Float[Tensor, "rows vocab"], samplers: Sequence[Sampler]) -> list[Choice]:
    """Choose a token for each row; the greedy rows take one call together."""
    best = logits.argmax(-1).tolist()
    return [
        Choice(token=best[row]) if sampler.is_plain else sampler.choose(logits[row])
        for row, sampler in enumerate(samplers)
    ]


def candidates(
    logits: Float[Tensor, " vocab"], options: SamplingOptions
) -> tuple[Float[Tensor, " kept"], Int[Tensor, " kept"] | None]:
    """The tokens that may be drawn with their weights, likeliest first.

    The tokens are None where nothing is cut: then the weights stand in vocabulary order.
    """
    # the greatest becomes 0 first, so that no temperature is too small
    probabilities = torch.softmax((logits - logits.max()) / options.temperature, dim=-1)
    if options.top_k == 0 and options.top_p == 1 and options.min_p == 0:
        return probabilities, None
    size = options.top_k or HEAD
    while True:
        weights, tokens = probabilities.topk(min(size, len(logits)))
        kept = _count_kept(weights, options)
        if kept < len(weights) or len(weights) in (options.top_k, len(logits)):
            return weights[:kept], tokens[:kept]
        size = len(logits)


def _count_kept(weights: Float[Tensor, " likeliest"], options: SamplingOptions) -> int:
    """How many of the likeliest tokens top-p and min-p leave; the first one always stays."""
    # top-p is a share of what top-k left, as everywhere; without top-k the whole is 1
    whole = weights.sum() if options.top_k else 1.0
    before = weights.cumsum(0) - weights
    keep = (before < options.top_p * whole) & (weights >= options.min_p * weights[0])
    return max(1, int(keep.sum()))


def penalise(
    logits: Float[Tensor, " vocab"], seen: Tensor, penalty: float
) -> Float[Tensor, " vocab"]:
    """Make seen tokens less likely: positive logits are divided, negative ones multiplied.

    (Keskar et al. 2019, CTRL, section 4.1, in the sign-safe form that all peers use.)
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def _with_logprobs(logits: Float[Tensor, " vocab"], token: int, count: int) -> Choice:
    logprobs = logits.log_softmax(-1)
    values, tokens = logprobs.topk(count)
    return Choice(
        token=token,
        logprob=logprobs[token].item(),
        alternatives=tuple(zip(tokens.tolist(), values.tolist(), strict=True)),
    )


def check_options(options: SamplingOptions) -> None:
    """Refuse options outside their range with InputError."""
    ranges = {
        "temperature": (options.temperature, 0, 100),
        "top_k": (options.top_k, 0, 2**31),
        "top_p": (options.top_p, 0, 1),
        "min_p": (options.min_p, 0, 1),
        "repetition_penalty": (options.repetition_penalty, 0.01, 100),
        "seed": (options.seed or 0, -(2**63), 2**64 - 1),
        "logprobs": (options.logprobs or 0, 0, 100),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise InputError(f"{name} is {value}; it must lie between {low} and {high}")
