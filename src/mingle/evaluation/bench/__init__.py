"""Benchmarks: each module answers one question and tells on which machine it was asked."""

from dataclasses import dataclass

BENCHMARKS = {
    "chat": "does nano read and write text as fast as transformers' Llama on the same weights?",
    "painter": "how long does a step of a diffusion transformer of the released shape take?",
    "talker": "how fast does a talker of the released size speak on this machine?",
    "train": "how near is a training step to the machine's matrix products, what gains packing?",
}
"""Every benchmark and its question. `mingle.evaluation.bench.<name>` has `measure(options)`,
which returns a JSON-ready dict, and `summary(result)`, lines for people."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How long and on how much to measure; `threads` None is torch's own choice."""

    rounds: int
    threads: int | None
