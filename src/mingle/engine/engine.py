"""The engine: requests in, events out. One thread steps the model for all requests together."""

import asyncio
import atexit
import itertools
import logging
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from mingle.engine.activity import ExpertUse
from mingle.engine.decode import Keys, Model, Strand, cached_memory, compute, open_strand
from mingle.engine.listening import Listener
from mingle.engine.prefix import PrefixStore, content_keys
from mingle.engine.sampling import Choice, Sampler
from mingle.engine.scheduler import Limits, Reason, Scheduler, Work
from mingle.engine.streaming import AnswerWriter, Decoder, Splitter
from mingle.errors import CapacityError, InputError, MingleError
from mingle.messages import Event, Finished, Modality, Request, Usage
from mingle.processing.inputs import Prompt

log = logging.getLogger(__name__)

Deliver = Callable[[Event], object]
"""Called from the stepping thread, must return at once."""


@runtime_checkable
class Processor(Protocol):
    """What the engine needs of a processor (`mingle.processing.inputs.Processor`, or a fake)."""

    @property
    def stop_ids(self) -> tuple[int, ...]: ...

    def prepare(self, request: Request) -> Prompt: ...

    def decoder(self) -> Decoder: ...

    def splitter(self) -> Splitter: ...


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the engine is doing now."""

    running: int
    waiting: int
    reserved_tokens: int
    remembered_bytes: int


class Engine:
    """Runs many requests on one model. Safe to use from any thread.

    Without `start`, nothing runs by itself: `step` (or reading a `Stream`) does the work. With it
    a background thread steps while there is work. `close` ends what still runs as cancelled.
    """

    def __init__(
        self,
        model: Model,
        processor: Processor,
        limits: Limits | None = None,
        listener: Listener | None = None,
    ):
        self.model = model
        self.processor = processor
        self.listener = listener
        self.limits = limits or Limits()
        self.experts = ExpertUse()
        self._scheduler = Scheduler(self.limits)
        self._prefixes = PrefixStore(self.limits.max_remembered_bytes)
        self._stop_ids = frozenset(processor.stop_ids)
        self._active: dict[int, _Active] = {}
        self._ended: list[_Active] = []
        self._numbers = itertools.count(1)
        self._state = threading.Condition(threading.RLock())  # guards scheduler and active
        self._stepping = threading.RLock()  # one step at a time; taken before _state, never after
        self._thread: threading.Thread | None = None
        self._closed = False

    def __enter__(self) -> "Engine":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def load(self) -> Load:
        """What the engine is doing now."""
        with self._state:
            return Load(
                running=len(self._scheduler.running),
                waiting=len(self._scheduler.waiting),
                reserved_tokens=self._scheduler.reserved_tokens,
                remembered_bytes=self._prefixes.num_bytes,
            )

    # --- requests -----------------------------------------------------------------------------

    def submit(self, request: Request) -> "Stream":
        """Queue a request and return the stream of its events.

        max_new_tokens 0 reads the prompt and remembers it, so that a later request that begins so
        starts sooner. Raises InputError for a request that cannot be answered, BusyError for a full
        queue.
        """
        active = self._prepare(request)
        stream = Stream(self, active.number)
        self._enqueue(active, stream.put)
        return stream

    async def stream(self, request: Request) -> AsyncGenerator[Event]:
        """The events of a request, for asyncio; closing the generator cancels the request.

        Read it inside `contextlib.aclosing`, so that leaving early cancels at once. The engine
        must have been started. Raises what `submit` raises.
        """
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()
        active = await asyncio.to_thread(self._prepare, request)
        self._enqueue(active, lambda event: loop.call_soon_threadsafe(events.put_nowait, event))
        try:
            while not isinstance(event := await events.get(), Finished):
                yield event
            yield event
        finally:
            self.cancel(active.number)

    def cancel(self, number: int) -> None:
        """End a request wherever it stands; nothing happens if it has ended already."""
        self._end(number, "cancelled")

    # --- work ---------------------------------------------------------------------------------

    def start(self) -> "Engine":
        """Step in a background thread from now on."""
        with self._state:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
                self._thread.start()
                atexit.register(self.close)  # before the interpreter takes torch apart
        return self

    @property
    def started(self) -> bool:
        """Whether a background thread steps."""
        return self._thread is not None

    def close(self) -> None:
        """Stop stepping and end what still runs as cancelled. May be called twice."""
        with self._state:
            self._closed = True
            self._state.notify_all()
        atexit.unregister(self.close)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._state:
            for number in list(self._active):
                self.cancel(number)
        with self._stepping:
            self._ended.clear()
            self._prefixes.clear()

    def step(self) -> bool:
        """Compute one step for all running requests; False if there is nothing to do."""
        with self._stepping, torch.inference_mode():
            with self._state:
                self._remember_ended()
                admitted = [self._active[number] for number in self._scheduler.admit()]
            for active in admitted:
                self._open(active)
            with self._state:
                works = self._scheduler.plan()
                batch = [_Part(self._active[work.request], work) for work in works]
            if batch:
                choices = self._compute(batch)
                with self._state:
                    self._settle(batch, choices)
                    self._remember_ended()
            return bool(admitted or batch)

    def _run(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._closed or self._active or self._ended)
                if self._closed:
                    return
            try:
                self.step()
            except Exception as error:  # a fault of our own: nobody may be left waiting
                with self._state:
                    for active in list(self._active.values()):
                        self._fail(active, error)

    def _prepare(self, request: Request) -> "_Active":
        """The part of a request that needs no lock: media, tokens, checks."""
        config = self.model.thinker.config
        if self.listener is not None:
            request = self.listener.heard(request)
        prompt = self.processor.prepare(request)
        check_context(prompt, request, config.max_positions)
        return _Active(
            number=next(self._numbers),
            request=request,
            prompt=prompt,
            keys=content_keys(prompt),
            sampler=Sampler(
                request.sampling, vocab_size=config.output_size, ends=self.processor.stop_ids
            ),
            writer=AnswerWriter(self.processor.decoder(), self.processor.splitter(), request.stop),
        )

    def _enqueue(self, active: "_Active", deliver: Deliver) -> None:
        with self._state:
            if self._closed:
                raise CapacityError("the engine is closed; start a new one")
            self._scheduler.submit(
                active.number,
                prompt_tokens=len(active.prompt.ids),
                max_new_tokens=active.request.max_new_tokens,
            )
            active.deliver = deliver
            self._active[active.number] = active
            self._state.notify_all()

    def _open(self, active: "_Active") -> None:
        """Find a remembered prefix and embed the rest; what fails here fails alone."""
        remembered = self._prefixes.take(active.keys)
        try:
            strand = open_strand(
                self.model, active.prompt, remembered, keys=active.keys, sampler=active.sampler
            )
        except Exception as error:  # the edge: one request's fault must not stop the others
            self._fail(active, error)
            return
        with self._state:
            active.strand, active.cached_tokens = strand, strand.unread_from
            if active.number in self._active:  # it may have been cancelled meanwhile
                self._scheduler.reuse(active.number, active.cached_tokens)

    def _compute(self, batch: "list[_Part]") -> list[Choice | None]:
        """Run a packed step; if it fails, run each request alone and end those that fail."""
        try:
            works = [(part.strand, part.work) for part in batch]
            return compute(self.model, works, self.experts)
        except Exception as error:  # the edge: see _open
            if len(batch) == 1:
                self._fail(batch[0].active, error)
                return [None]
            log.warning("a step of %d requests failed, each runs alone: %s", len(batch), error)
        return [self._compute([part])[0] for part in batch]

    def _settle(self, batch: "list[_Part]", choices: list[Choice | None]) -> None:
        """Give out what was computed; end who said all."""
        stopped: set[int] = set()
        for part, choice in zip(batch, choices, strict=True):
            active = part.active
            if choice is None or active.number not in self._active:
                continue
            active.completion_tokens += 1
            if choice.token in self._stop_ids:
                stopped.add(active.number)
                continue
            self._tell(active, active.writer.push(choice))
            if active.writer.stopped:
                stopped.add(active.number)
        works = [part.work for part in batch]
        for number, reason in self._scheduler.advance(works, stopped=stopped):
            self._end(number, reason)

    def _end(self, number: int, reason: Reason, error: str = "") -> None:
        """Tell a request's reader that it has ended, once."""
        with self._state:
            active = self._active.get(number)
            if active is None:
                return
            self._drop(active)
            finished = Finished(reason=reason, usage=usage(active), error=error)
            self._tell(active, [*active.writer.finish(), finished])

    def _fail(self, active: "_Active", error: Exception) -> None:
        active.strand = None
        if isinstance(error, MingleError):  # it says all that is to be said
            self._end(active.number, "error", str(error))
        else:
            log.error("request %d failed", active.number, exc_info=error)
            self._end(active.number, "error", f"{type(error).__name__}: {error}")

    def _drop(self, active: "_Active") -> None:
        if self._active.pop(active.number, None) is not None:
            self._scheduler.end(active.number)
            self._ended.append(active)
            self._state.notify_all()

    def _remember_ended(self) -> None:
        """Keep the caches of ended requests, interrupted ones too: their next turn begins so."""
        for active in self._ended:
            if active.strand is not None:
                ahead = active.request.max_new_tokens == 0
                self._prefixes.keep(cached_memory(active.strand, ahead=ahead))
                active.strand = None
        self._ended.clear()

    def _tell(self, active: "_Active", events: Iterable[Event]) -> None:
        try:
            for event in events:
                active.deliver(event)
        except RuntimeError:  # the reader's event loop is closed: nobody listens any more
            log.info("request %d has no reader left", active.number)
            self._drop(active)


class Stream:
    """The events of one request, in order; the last one is Finished."""

    def __init__(self, engine: Engine, number: int):
        self.number = number
        self._engine = engine
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._finished = False

    def put(self, event: Event) -> None:
        """Add an event; the engine calls this."""
        self._events.put(event)

    def cancel(self) -> None:
        """End the request; what is left in the stream ends with Finished as always."""
        self._engine.cancel(self.number)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._finished:
            raise StopIteration
        event = self._wait()
        self._finished = isinstance(event, Finished)
        return event

    def _wait(self) -> Event:
        while not self._engine.started:  # nobody else steps: the reader does
            try:
                return self._events.get_nowait()
            except queue.Empty:
                self._engine.step()
        return self._events.get()


@dataclass(kw_only=True)
class _Active:
    """A request that has not ended, or whose last step is still being computed."""

    number: int
    request: Request
    prompt: Prompt
    keys: Keys
    sampler: Sampler
    writer: AnswerWriter
    deliver: Deliver = lambda event: None
    strand: Strand | None = None
    cached_tokens: int = 0
    completion_tokens: int = 0


class _Part:
    """One request's share of a step."""

    def __init__(self, active: _Active, work: Work):
        assert active.strand is not None, "a planned request was opened"
        self.active, self.work, self.strand = active, work, active.strand


def check_context(prompt: Prompt, request: Request, max_positions: int) -> None:
    """Refuse what the model's positions cannot hold; a picture takes no more than its long side."""
    saved = sum(s.length - max(s.grid) for s in prompt.spans if s.grid is not None)
    needed = len(prompt.ids) - saved + request.max_new_tokens
    if needed > max_positions:
        raise InputError(
            f"the prompt has {len(prompt.ids)} tokens and up to {request.max_new_tokens} are to "
            f"follow: {needed} positions, the model has {max_positions}; shorten the conversation "
            "or lower max_new_tokens"
        )


def usage(active: _Active) -> Usage:
    """Tokens read and written for one request."""
    spans = active.prompt.spans
    return Usage(
        prompt_tokens=len(active.prompt.ids),
        completion_tokens=active.completion_tokens,
        cached_tokens=active.cached_tokens,
        image_tokens=sum(s.length for s in spans if s.modality is Modality.IMAGE),
        audio_tokens=sum(s.length for s in spans if s.modality is Modality.AUDIO),
    )
