"""Does nano read and write text as fast as transformers' Llama on the same weights, in fp32?

Both run the same prompt on the same threads, one after the other, round by round; Mingle through
its engine as `mingle chat` does, transformers through `generate`. Both must write the same tokens.
Where other work shares the processor, processor time is the figure to look at.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mingle.checkpoints import packages
from mingle.checkpoints.gguf import GgufFile
from mingle.checkpoints.load import open_model
from mingle.checkpoints.nano import BASE, NAME
from mingle.engine.engine import Engine
from mingle.evaluation.bench import Options
from mingle.evaluation.bench.llama import transformers_llama
from mingle.evaluation.bench.machine import describe_machine, spread
from mingle.messages import Finished, Request, TextDelta, user
from mingle.thinker.model import Thinker

STORY = "Once upon a time a fox, a crow and a very old stone met at the edge of a wood. "
PROMPT = STORY * 8 + "Tell a long story about them."
NEW_TOKENS = 48
TIMES = ("first_wall_s", "first_cpu_s", "next_wall_s", "next_cpu_s")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One answer: seconds until its first token, and for each of the others; its tokens.

    `wall` is time as it passes, `cpu` the time that processors worked on it (all threads).
    """

    first_wall_s: float
    first_cpu_s: float
    next_wall_s: float
    next_cpu_s: float
    tokens: list[int]


def measure(options: Options) -> dict[str, Any]:
    """Measure both; raises CapacityError without transformers, CheckpointError without nano."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    folder = open_model(NAME)
    model, processor = folder.load(), folder.processor()
    llama = transformers_llama(
        GgufFile(packages.find(BASE, NAME)), model.thinker.config, processor.stop_ids
    )
    request = Request(messages=(user(PROMPT),), max_new_tokens=NEW_TOKENS)
    ids = processor.prepare(request).ids
    engines: dict[str, Callable[[], Run]] = {
        "mingle": lambda: run_mingle(Engine(model, processor), request),
        "transformers": lambda: run_llama(llama, torch.from_numpy(ids)[None]),
    }
    runs: dict[str, list[Run]] = {name: [] for name in engines}
    for round_number in range(options.rounds + 1):  # the first one warms up
        for name in engines if round_number % 2 else reversed(engines):
            run = engines[name]()
            if round_number:
                runs[name].append(run)
    return {
        "benchmark": "chat",
        "machine": describe_machine(),
        "dtype": "float32",
        "batch": 1,
        "prompt_tokens": len(ids),
        "new_tokens": NEW_TOKENS,
        "rounds": options.rounds,
        "same_tokens": same_tokens(runs["mingle"], runs["transformers"]),
        **{name: figures(done, len(ids)) for name, done in runs.items()},
        "ratio": compare(runs["mingle"], runs["transformers"]),
        "bound": bound(model.thinker, runs["mingle"]),
    }


def summary(result: dict[str, Any]) -> list[str]:
    """The result for people."""
    lines = [
        f"{result['prompt_tokens']} tokens read, {result['new_tokens']} written, fp32, "
        f"{result['machine']['threads']} threads, {result['rounds']} rounds, medians"
    ]
    for name in ("mingle", "transformers"):
        figures = result[name]
        lines.append(
            f"{name:<13}reads {figures['prefill_tokens_per_s']:6.0f} tokens/s, "
            f"writes {figures['decode_tokens_per_s']:5.1f} tokens/s"
        )
    ratio = result["ratio"]
    for what, name in (("reading", "prefill"), ("writing", "decode")):
        lines.append(
            f"{what}: their time over ours {ratio[name]:.2f}, processor time "
            f"{ratio[f'{name}_cpu']:.2f} (above 1: Mingle is faster)"
        )
    lines.append(f"same tokens: {'yes' if result['same_tokens'] else 'NO'}")
    gigabytes = result["bound"]["weights_read_gb_per_s"]
    lines.append(f"Mingle reads {gigabytes:.1f} GB/s of weights while it writes")
    return lines


def run_mingle(engine: Engine, request: Request) -> Run:
    """One answer of a fresh engine: nothing is remembered."""
    clock = Clock()
    for event in engine.submit(request):
        if isinstance(event, TextDelta) and event.token_ids:
            clock.note(*event.token_ids)
        assert not isinstance(event, Finished) or event.reason == "length", event
    return clock.run()


def run_llama(llama: Any, ids: Tensor) -> Run:
    """One greedy answer of transformers."""
    clock = Clock()
    streamer = _Streamer(clock)
    with torch.inference_mode():
        llama.generate(ids, max_new_tokens=NEW_TOKENS, do_sample=False, streamer=streamer)
    return clock.run()


class Clock:
    """Starts when it is made; notes when each token came, in both kinds of time."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._start = self._now()
        self._times: list[tuple[float, float]] = []

    def note(self, *tokens: int) -> None:
        """These tokens are known now."""
        self._tokens += tokens
        self._times.append(self._now())

    def run(self) -> Run:
        """What was noted."""
        first, last, count = self._times[0], self._times[-1], len(self._tokens) - 1
        return Run(
            first_wall_s=first[0] - self._start[0],
            first_cpu_s=first[1] - self._start[1],
            next_wall_s=(last[0] - first[0]) / count,
            next_cpu_s=(last[1] - first[1]) / count,
            tokens=self._tokens,
        )

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


class _Streamer:
    """What `generate` tells its tokens to; the first call brings the prompt."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._is_prompt = clock, True

    def put(self, value: Tensor) -> None:
        if not self._is_prompt:
            self._clock.note(int(value))
        self._is_prompt = False

    def end(self) -> None:
        """Nothing is held back."""


def figures(runs: list[Run], prompt_tokens: int) -> dict[str, Any]:
    """Times of one engine, and the speeds of their medians."""
    times = {name: spread([getattr(run, name) for run in runs]) for name in TIMES}
    return {
        **times,
        "prefill_tokens_per_s": round(prompt_tokens / times["first_wall_s"]["median"], 1),
        "decode_tokens_per_s": round(1 / times["next_wall_s"]["median"], 2),
    }


def compare(ours: list[Run], theirs: list[Run]) -> dict[str, float]:
    """Their time over ours, the median over rounds: above 1, Mingle is faster."""

    def ratio(name: str) -> float:
        pairs = zip(ours, theirs, strict=True)
        return round(statistics.median(getattr(b, name) / getattr(a, name) for a, b in pairs), 3)

    return {
        "prefill": ratio("first_wall_s"),
        "decode": ratio("next_wall_s"),
        "prefill_cpu": ratio("first_cpu_s"),
        "decode_cpu": ratio("next_cpu_s"),
    }


def same_tokens(ours: list[Run], theirs: list[Run]) -> bool:
    """Whether every round of both wrote the same answer."""
    return len({tuple(run.tokens) for run in (*ours, *theirs)}) == 1


def bound(thinker: Thinker, runs: list[Run]) -> dict[str, float]:
    """How fast weights come from memory while writing: decode can be no faster than memory."""
    sparse, read = thinker.config.sparse, 0
    for name, parameter in thinker.named_parameters():
        is_expert = ".experts." in name
        share = sparse.choice.top_k / sparse.num_experts if sparse and is_expert else 1
        unused_router = ".routers." in name and ".text." not in name
        read += 0 if unused_router else int(parameter.nbytes * share)
    best = min(run.next_wall_s for run in runs)
    return {
        "weights_read_mb": round(read / 1e6, 1),
        "weights_read_gb_per_s": round(read / best / 1e9, 1),
    }
