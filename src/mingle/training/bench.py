"""How near is training to what this machine multiplies, and what does packing gain?

Two questions, each a ratio measured in one run, its two sides in turn: a step of the 10 M-parameter
text recipe against the fastest of three fp32 matrix products (one is its own), and packed against
padded batches of the same samples. Rates are by processor time of this process where there is one
thread: work of others on the machine then counts little.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mingle.training import speed
from mingle.training.learner import Learner
from mingle.training.packing import pack
from mingle.training.parallel import Layout
from mingle.training.recipe import Optimizer, Schedule, Stage
from mingle.training.tasks.text import NUM_BYTES, ByteModel, TextModel
from mingle.worlds.phrases import sample_phrase
from mingle.worlds.questions import sample_question
from mingle.worlds.scenes import caption, sample_scene

TEN_MILLION = TextModel(num_layers=3, dim=512, num_heads=8, inner_dim=1408)
ROWS, LENGTH = 8, 256
SMALL = TextModel(num_layers=2, dim=128, num_heads=4, inner_dim=384)
BUDGET, SAMPLES, BATCH, WINDOW = 4096, 128, 16, 64
PRODUCTS = ((1024, 1024, 1024), (2048, 2048, 2048), (ROWS * LENGTH, 512, 2 * 1408))  # m, k, n
TEMPLATE = 60  # bytes of a chat template around question and answer
IMAGE_TOKENS, TOKENS_A_WORD = 16, 10  # a 128-pixel picture; a word is 0.4 s of sound at 25 a second


class Options(Protocol):
    """What `mingle bench` passes on."""

    @property
    def rounds(self) -> int: ...

    @property
    def threads(self) -> int | None: ...


def measure(options: Options) -> dict[str, Any]:
    """Measure both; `met` says whether the goals of the project are reached."""
    torch.set_num_threads(options.threads or 1)
    torch.manual_seed(0)
    step, packing = _against_sgemm(options.rounds), _against_padding(options.rounds)
    return {
        "step": step,
        "packing": packing,
        "met": {
            "share_of_sgemm >= 0.70": step["share_of_sgemm"] >= 0.70,
            "packed_over_padded >= 1.8": packing["packed_over_padded"] >= 1.8,
            "waste < 0.03": packing["waste"] < 0.03,
        },
    }


def summary(result: dict[str, Any]) -> list[str]:
    """The figures in two lines."""
    step, packing = result["step"], result["packing"]
    return [
        f"10 M-parameter text: {step['tokens_per_s']:.0f} tokens/s, {step['gflops']:.1f} GFLOP/s, "
        f"{100 * step['share_of_sgemm']:.0f} % of sgemm's {step['sgemm_gflops']:.1f}",
        f"packing: {packing['packed_samples_per_s']:.1f} samples/s against "
        f"{packing['padded_samples_per_s']:.1f} padded, {packing['packed_over_padded']:.2f} times; "
        f"waste {100 * packing['waste']:.1f} %",
    ]


def _against_sgemm(rounds: int) -> dict[str, Any]:
    model, learner = _model(TEN_MILLION)
    ids = torch.randint(NUM_BYTES, (ROWS * LENGTH,))

    def step() -> None:
        _train(model, learner, ids, (LENGTH,) * ROWS, None)

    _, flops = speed.counted(step)
    products = [_product(*shape) for shape in PRODUCTS]
    step_s, *product_s = _in_turn([step, *products], rounds)
    rates = [2.0 * m * k * n / s for (m, k, n), s in zip(PRODUCTS, product_s, strict=True)]
    rate, limit = flops / step_s, max(rates)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": ROWS * LENGTH,
        "tokens_per_s": ROWS * LENGTH / step_s,
        "gflops": rate / 1e9,
        "sgemm_gflops": limit / 1e9,
        "sgemm_shape": PRODUCTS[rates.index(limit)],
        "share_of_sgemm": rate / limit,
        "rounds": rounds,
    }


def _product(m: int, k: int, n: int) -> Callable[[], None]:
    left, right = torch.randn(m, k), torch.randn(k, n)

    def product() -> None:
        torch.mm(left, right)

    return product


def _against_padding(rounds: int) -> dict[str, Any]:
    lengths = nano_lengths(SAMPLES)
    model, learner = _model(SMALL)
    rows = packed_rows(lengths)
    padded = [lengths[i : i + BATCH] for i in range(0, SAMPLES, BATCH)]

    def packed_steps() -> None:
        for row in rows:
            _train(model, learner, torch.randint(NUM_BYTES, (sum(row),)), row, None)

    def padded_steps() -> None:
        for row in padded:
            longest = max(row)
            real = torch.cat([torch.arange(longest) < n for n in row])
            ids = torch.randint(NUM_BYTES, (longest * len(row),))
            _train(model, learner, ids, (longest,) * len(row), real)

    packed_s, padded_s = _in_turn([packed_steps, padded_steps], rounds)
    packed_rate, padded_rate = SAMPLES / packed_s, SAMPLES / padded_s
    return {
        "samples": SAMPLES,
        "mean_tokens": statistics.mean(lengths),
        "longest_tokens": max(lengths),
        "packed_samples_per_s": packed_rate,
        "padded_samples_per_s": padded_rate,
        "packed_over_padded": packed_rate / padded_rate,
        "waste": 1
        - sum(map(sum, rows[:-1])) / (len(rows[:-1]) * BUDGET),  # the last only ends the set
        "padding": 1 - sum(lengths) / sum(max(row) * len(row) for row in padded),
    }


def packed_rows(lengths: Sequence[int]) -> list[tuple[int, ...]]:
    """Every sample once, in rows of at most BUDGET tokens."""
    endless = ((i, lengths[i]) if i < len(lengths) else (i, BUDGET + 1) for i in itertools.count())
    packs = pack(
        lambda first: endless,
        lambda held: [],
        length=lambda sample: sample,
        budget=BUDGET,
        window=WINDOW,
        position=None,
    )
    rows = itertools.takewhile(lambda row: row.samples[0] <= BUDGET, packs)
    return [row.samples for row in rows]


def nano_lengths(count: int) -> list[int]:
    """Tokens of world samples: captions, picture questions, recognition, and talks of 1-8 turns."""
    rng = np.random.default_rng(0)
    return [_sample_length(rng) for _ in range(count)]


def _sample_length(rng: np.random.Generator) -> int:
    def one() -> int:
        kind = rng.integers(3)
        if kind == 0:
            words = sample_phrase(rng)
            return len(words) + TOKENS_A_WORD * len(words.split())
        scene = sample_scene(rng, num_things=int(rng.integers(1, 5)), split="train")
        if kind == 1:
            return IMAGE_TOKENS + len(caption(rng, scene))
        asked = sample_question(rng, scene)
        return IMAGE_TOKENS + len(asked.text) + len(asked.answer)

    turns = 1 if rng.random() < 0.6 else int(rng.integers(2, 9))
    return TEMPLATE + sum(one() for _ in range(turns))


def _model(config: TextModel) -> tuple[ByteModel, Learner]:
    model = ByteModel(config)
    stage = Stage(
        name="bench",
        steps=1_000_000,
        train=("*",),
        data={},
        losses={},
        optimizer=Optimizer(lr=1e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01, clip_norm=1.0),
        schedule=Schedule(warmup_steps=0, decay_steps=0, decay="linear", final_factor=1.0),
    )
    return model, Learner(model, stage, Layout(None))


def _train(
    model: ByteModel,
    learner: Learner,
    ids: Tensor,
    lengths: Sequence[int],
    real: Tensor | None,
) -> None:
    """One whole step; `real` leaves padding out of the loss."""
    errors = F.cross_entropy(model(ids, tuple(lengths)), ids, reduction="none")
    (errors.mean() if real is None else errors[real].mean()).backward()
    learner.step(0)


def _in_turn(works: Sequence[Callable[[], None]], rounds: int) -> list[float]:
    """The median time of each, done in turn so that all meet the same conditions."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 1):  # the first round warms up
        for work, own in zip(works, times, strict=True):
            start = clock()
            work()
            if number:
                own.append(clock() - start)
    return [statistics.median(own) for own in times]
