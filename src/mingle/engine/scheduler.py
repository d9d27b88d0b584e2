"""Which tokens of which requests the next step computes: a pure state machine, data in, plan out.

It knows no tensor, no clock and no thread. A request waits, is admitted (its whole cache reserved,
so nothing is ever evicted half way), reads its prompt in chunks and then decodes token by token.

Fairness by construction. Waiting requests are admitted strictly in the order they came. In every
step each running request moves: those that decode by one token, those that still read share what
is left of the step evenly, so a short prompt is not held up by a long one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from mingle.errors import BusyError, ConfigError, InputError

Reason = Literal["stop", "length", "cancelled", "error"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the engine may use at once: tokens a step, requests, tokens in all caches, the queue.

    `max_remembered_bytes` is for caches of ended requests, which may be reused. Raises ConfigError
    when a running request could be left without a token in a step.
    """

    max_batch_tokens: int = 256
    max_requests: int = 64
    max_cache_tokens: int = 65_536
    max_waiting: int = 1_024
    max_remembered_bytes: int = 2**29

    def __post_init__(self) -> None:
        least = min(self.max_requests, self.max_cache_tokens, self.max_waiting)
        if least < 1:
            raise ConfigError(f"a limit is {least}: {self}; each must be at least 1")
        if self.max_batch_tokens < self.max_requests:
            raise ConfigError(
                f"max_batch_tokens is {self.max_batch_tokens} for {self.max_requests} requests; "
                "each running request needs one token a step: raise it or lower max_requests"
            )


@dataclass(frozen=True, kw_only=True)
class Work:
    """Tokens `start` to `start + length` of one request; `sample` asks for the one behind them."""

    request: int
    start: int
    length: int
    sample: bool


@dataclass(kw_only=True)
class _Job:
    request: int
    prompt_tokens: int
    max_new_tokens: int
    known: int  # tokens of the prompt and those sampled
    computed: int = 0  # tokens whose keys are cached

    @property
    def most(self) -> int:
        return self.prompt_tokens + self.max_new_tokens

    @property
    def missing(self) -> int:
        return self.known - self.computed

    @property
    def decodes(self) -> bool:
        return self.computed >= self.prompt_tokens


class Scheduler:
    """Requests by number: `submit`, then `admit`, `plan` and `advance` once each step."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._waiting: dict[int, _Job] = {}  # dicts keep the order of arrival
        self._running: dict[int, _Job] = {}

    @property
    def waiting(self) -> tuple[int, ...]:
        """Requests that wait for room, oldest first."""
        return tuple(self._waiting)

    @property
    def running(self) -> tuple[int, ...]:
        """Requests that hold a cache, oldest first."""
        return tuple(self._running)

    @property
    def reserved_tokens(self) -> int:
        """Cache tokens that the running requests may come to fill."""
        return sum(job.most for job in self._running.values())

    def submit(self, request: int, *, prompt_tokens: int, max_new_tokens: int) -> None:
        """Queue a request. max_new_tokens 0 reads the prompt and samples nothing.

        Raises InputError if it can never fit, BusyError if the queue is full.
        """
        assert request not in {**self._waiting, **self._running}, request
        if prompt_tokens < 1 or max_new_tokens < 0:
            raise InputError(
                f"the prompt has {prompt_tokens} tokens and max_new_tokens is {max_new_tokens}; "
                "a prompt needs at least one token and the limit cannot be negative"
            )
        most = prompt_tokens + max_new_tokens
        if most > self.limits.max_cache_tokens:
            raise InputError(
                f"{prompt_tokens} prompt tokens and up to {max_new_tokens} new ones need {most}, "
                f"the cache holds {self.limits.max_cache_tokens}; shorten the prompt, lower "
                "max_new_tokens, or raise max_cache_tokens"
            )
        if len(self._waiting) >= self.limits.max_waiting:
            raise BusyError(
                f"{len(self._waiting)} requests wait already (limit {self.limits.max_waiting}); "
                "try again later"
            )
        self._waiting[request] = _Job(
            request=request,
            prompt_tokens=prompt_tokens,
            max_new_tokens=max_new_tokens,
            known=prompt_tokens,
        )

    def admit(self) -> tuple[int, ...]:
        """Move the oldest waiting requests to the running ones while they fit."""
        admitted: list[int] = []
        for job in list(self._waiting.values()):
            full = len(self._running) >= self.limits.max_requests
            if full or self.reserved_tokens + job.most > self.limits.max_cache_tokens:
                break  # nobody overtakes: a large request is not starved by small ones
            self._running[job.request] = self._waiting.pop(job.request)
            admitted.append(job.request)
        return tuple(admitted)

    def reuse(self, request: int, tokens: int) -> None:
        """Say that the first `tokens` of an admitted prompt are cached; one is left to read."""
        job = self._running[request]
        assert job.computed == 0, job
        assert 0 <= tokens < job.prompt_tokens, (tokens, job)
        job.computed = tokens

    def plan(self) -> tuple[Work, ...]:
        """The next step: one token for each that decodes, the rest shared among those that read."""
        decoding = [job for job in self._running.values() if job.decodes]
        reading = [job for job in self._running.values() if not job.decodes]
        budget = self.limits.max_batch_tokens - len(decoding)
        shares = even_shares(budget, [job.missing for job in reading])
        lengths = zip([*decoding, *reading], [1] * len(decoding) + shares, strict=True)
        return tuple(
            Work(
                request=job.request,
                start=job.computed,
                length=length,
                sample=job.missing == length and job.max_new_tokens > 0,
            )
            for job, length in lengths
        )

    def advance(
        self, works: Sequence[Work], *, stopped: Collection[int] = ()
    ) -> tuple[tuple[int, Reason], ...]:
        """Count a computed plan; return who ended and why. `stopped`: requests that said all.

        Requests that were ended since `plan` are passed over.
        """
        ended: list[tuple[int, Reason]] = []
        for work in works:
            job = self._running.get(work.request)
            if job is None:
                continue
            job.computed += work.length
            job.known += work.sample
            if work.request in stopped:
                ended.append((work.request, "stop"))
            elif job.known == job.most and (work.sample or job.missing == 0):
                ended.append((work.request, "length"))
        for request, _ in ended:
            self.end(request)
        return tuple(ended)

    def end(self, request: int) -> bool:
        """Drop a request wherever it stands (cancel, error); False if it had ended before."""
        waiting, running = self._waiting.pop(request, None), self._running.pop(request, None)
        return waiting is not None or running is not None


def even_shares(budget: int, wants: Sequence[int]) -> list[int]:
    """Divide tokens evenly; who wants less than an even share leaves the rest to the others."""
    shares = [0] * len(wants)
    order = sorted(range(len(wants)), key=lambda i: wants[i])
    for served, i in enumerate(order):
        shares[i] = min(wants[i], budget // (len(wants) - served))
        budget -= shares[i]
    return shares
