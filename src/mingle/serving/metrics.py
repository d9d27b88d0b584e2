"""What is measured, for Prometheus: queue, first token, time per token, speech, errors by kind."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mingle.engine.engine import Load
from mingle.messages import Event, Finished, Modality, TextDelta

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """One server's figures; nothing is shared with other servers of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.registry = CollectorRegistry()
        self._clock = clock
        here = self.registry
        self.requests = Counter(
            "mingle_requests",
            "Requests by route and status",
            ["route", "status"],
            registry=here,
        )
        self.errors = Counter("mingle_errors", "Errors by kind", ["kind"], registry=here)
        self.first_token = Histogram(
            "mingle_time_to_first_token_seconds", "From request to first text",
            buckets=SECONDS, registry=here,
        )  # fmt: skip
        self.per_token = Histogram(
            "mingle_time_per_token_seconds", "Mean over an answer, the first token left out",
            buckets=SECONDS, registry=here,
        )  # fmt: skip
        self.tokens = Counter("mingle_tokens", "Tokens by direction", ["direction"], registry=here)
        self.speech_rate = Histogram(
            "mingle_speech_real_time_factor", "Time to make speech over its length",
            buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0), registry=here,
        )  # fmt: skip
        self.first_sound = Histogram(
            "mingle_time_to_first_sound_seconds", "From text to first sound",
            buckets=SECONDS, registry=here,
        )  # fmt: skip
        self._experts = Counter(
            "mingle_expert_tokens", "Choices of each expert of the middle expert layer",
            ["modality", "expert"], registry=here,
        )  # fmt: skip
        self.sessions = Gauge("mingle_realtime_sessions", "Live conversations", registry=here)
        self._running = Gauge("mingle_requests_running", "Answers being written", registry=here)
        self._waiting = Gauge("mingle_requests_waiting", "Answers in the queue", registry=here)
        self._cached = Gauge("mingle_cached_bytes", "Remembered key-value caches", registry=here)
        self._restarts = Gauge(
            "mingle_decoder_restarts", "Decoder processes replaced", registry=here
        )

    def page(
        self, load: Load, experts: Mapping[Modality, Sequence[int]], decoder_restarts: int
    ) -> bytes:
        """The text that Prometheus reads."""
        self._running.set(load.running)
        self._waiting.set(load.waiting)
        self._cached.set(load.remembered_bytes)
        self._restarts.set(decoder_restarts)
        for modality, counts in experts.items():
            for expert, count in enumerate(counts):
                told = self._experts.labels(modality.name.lower(), str(expert))
                told.reset()
                told.inc(count)
        return generate_latest(self.registry)

    async def watch(self, events: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        """The same events, measured."""
        start, first = self._clock(), 0.0
        async for event in events:
            if isinstance(event, TextDelta) and not first:
                first = self._clock()
                self.first_token.observe(first - start)
            elif isinstance(event, Finished) and event.usage is not None:
                self.tokens.labels("in").inc(event.usage.prompt_tokens)
                self.tokens.labels("out").inc(event.usage.completion_tokens)
                if first and event.usage.completion_tokens > 1:
                    more = event.usage.completion_tokens - 1
                    self.per_token.observe((self._clock() - first) / more)
            yield event
