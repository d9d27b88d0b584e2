"""How long does a step of a diffusion transformer of the released shape take here?

The released transformer has 2 + 30 blocks over picture and text and 2 over the text alone; this
one has one of each (weights are random: only time is measured), so a step is about a fifteenth.
Beside it runs the same step as the released code writes it: with and without words as one batch of
two, in bfloat16 (its dtype is fixed), and one step of every run that changes nothing.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mingle.evaluation.bench import Options
from mingle.evaluation.bench.machine import describe_machine, spread
from mingle.evaluation.bench.talker import arithmetic_speed
from mingle.painter.backbones import build_transformer, velocity
from mingle.painter.config import TransformerConfig

STEPS = 30  # of a whole picture, for what a wasted step costs
GUIDANCE = 2.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One step: latents of a picture of `side` x `side` patches, and `words` condition tokens."""

    side: int
    words: int


RELEASED = TransformerConfig(
    latent_channels=16,
    patch_size=2,
    dim=3840,
    num_layers=1,  # of 30
    num_refiner_layers=1,  # of 2
    num_heads=30,
    norm_eps=1e-5,
    token_dim=2560,
    rope_theta=256.0,
    time_scale=1000.0,
    token_multiple=32,
    axes_dims=(32, 48, 48),
    axes_lens=(1024, 512, 512),
)
PICTURE = Job(side=16, words=256)  # 256 x 256 pixels, the released number of queries


def measure(options: Options) -> dict[str, Any]:
    """Measure all ways in turn, round by round; the first round warms up."""
    return measure_config(RELEASED, PICTURE, options)


def measure_config(config: TransformerConfig, job: Job, options: Options) -> dict[str, Any]:
    """The same for a transformer and a picture of any size."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    wide = random_transformer(config, torch.float32)
    narrow = random_transformer(config, torch.bfloat16)
    inputs = draw_inputs(config, job)
    ways: dict[str, Callable[[], Tensor]] = {
        "mingle": lambda: step(wide, *inputs),
        "as_released_fp32": lambda: released_step(wide, *inputs),
        "as_released": lambda: released_step(narrow, *inputs),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name in ways if number % 2 else reversed(ways):
            start = time.perf_counter()
            ways[name]()
            if number:
                seconds[name].append(time.perf_counter() - start)
    flops, speed = step_flops(config, job), arithmetic_speed()
    ours = statistics.median(seconds["mingle"])
    return {
        "benchmark": "painter",
        "machine": describe_machine(),
        "dtype": "float32",
        "batch": 1,
        "blocks": {"both": config.num_layers, "refiners": config.num_refiner_layers},
        "parameters": sum(parameter.numel() for parameter in wide.parameters()),
        "picture_tokens": job.side**2,
        "condition_tokens": job.words,
        "guidance": GUIDANCE,
        "rounds": options.rounds,
        "step_s": {name: spread(values) for name, values in seconds.items()},
        "ratio": {
            name: round(statistics.median(seconds[name]) / ours * STEPS / (STEPS - 1), 3)
            for name in ("as_released_fp32", "as_released")
        },
        "bound": {
            "gflop_per_step": round(flops / 1e9, 1),
            "gflops": round(speed / 1e9, 1),
            "step_s": round(flops / speed, 3),
            "share": round(flops / speed / ours, 3),
        },
    }


def summary(result: dict[str, Any]) -> list[str]:
    """The result for people."""
    steps, ratio, bound = result["step_s"], result["ratio"], result["bound"]
    return [
        f"{result['parameters'] / 1e9:.2f} B parameters, {result['picture_tokens']} + "
        f"{result['condition_tokens']} tokens, {result['machine']['threads']} threads, medians of "
        f"{result['rounds']} rounds",
        *(f"{name:<18}{times['median']:8.2f} s a step" for name, times in steps.items()),
        f"ratio             {ratio['as_released']:8.2f} to the released way, "
        f"{ratio['as_released_fp32']:.2f} to the same in fp32, for each step that moves "
        "(above 1: Mingle is faster)",
        f"bound             {bound['step_s']:8.2f} s by matrix products "
        f"({bound['gflops']:.0f} GFLOPS): {100 * bound['share']:.0f} % of it reached",
    ]


def random_transformer(config: TransformerConfig, dtype: torch.dtype) -> nn.Module:
    """A transformer with drawn parameters, small enough that nothing overflows."""
    with torch.device("meta"):
        transformer = build_transformer(config).to(dtype)
    transformer = transformer.to_empty(device="cpu").eval()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.uniform_(-0.02, 0.02, generator=draw)
    return transformer


def draw_inputs(config: TransformerConfig, job: Job) -> tuple[Tensor, Tensor]:
    """Latents [1, channels, rows, columns] and condition tokens."""
    draw = torch.Generator().manual_seed(1)
    side = job.side * config.patch_size
    latents = torch.randn(1, config.latent_channels, side, side, generator=draw)
    return latents, torch.randn(job.words, config.token_dim, generator=draw)


@torch.no_grad()
def step(transformer: nn.Module, latents: Tensor, tokens: Tensor) -> Tensor:
    """A guided step as `denoise` takes it."""
    t = torch.full((1,), 0.5)
    asked = velocity(transformer, latents, t, [tokens])
    unasked = velocity(transformer, latents, t, [torch.zeros_like(tokens)])
    return asked + GUIDANCE * (asked - unasked)


@torch.no_grad()
def released_step(transformer: nn.Module, latents: Tensor, tokens: Tensor) -> Tensor:
    """Both branches as one batch, in the transformer's dtype."""
    dtype = next(transformer.parameters()).dtype
    tokens = tokens.to(dtype)
    pair = latents.to(dtype).repeat(2, 1, 1, 1)
    t = torch.full((2,), 0.5, dtype=dtype)
    both = velocity(transformer, pair, t, [tokens, torch.zeros_like(tokens)]).float()
    return both[:1] + GUIDANCE * (both[:1] - both[1:])


def step_flops(config: TransformerConfig, job: Job) -> float:
    """Multiplications and additions of the matrix products of one guided step."""
    dim, picture, words = config.dim, job.side**2, job.words
    block = 4 * dim**2 + 3 * dim * int(dim / 3 * 8)  # weights of attention and feed-forward
    runs = (
        (config.num_layers, picture + words),
        (config.num_refiner_layers, picture),
        (config.num_refiner_layers, words),
    )
    once = sum(count * (2 * tokens * block + 4 * tokens**2 * dim) for count, tokens in runs)
    return 2.0 * once  # with and without words
