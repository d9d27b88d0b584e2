"""How fast does a talker of the released size speak here, in fp32, and what holds it up?

Weights are random: only time is measured. Sizes are the defaults of the released code, for the
checkpoint's own are not known here. Beside it runs the same computation as the released code
writes it: each guidance branch by itself, everything embedded anew in every step, sound only when
the next patch is there.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mingle.evaluation.bench import Options
from mingle.evaluation.bench.machine import describe_machine, spread
from mingle.nn.flow import guide, integrate, sway
from mingle.nn.transformer import DecoderConfig
from mingle.talker.audio_vae import AudioVaeConfig
from mingle.talker.blocks import BlocksConfig
from mingle.talker.flow_head import (
    FlowHead,
    FlowHeadConfig,
    FlowOptions,
    PatchNoise,
    draw_noise,
    time_grid,
)
from mingle.talker.model import LoopOptions, TalkerConfig
from mingle.talker.patch_encoder import PatchEncoderConfig
from mingle.talker.speech import SpeechConfig, SpeechModel

PROMPT_TOKENS = 64  # a sentence and what stands around it
PATCHES = 2  # spoken in each round: the first, and one that all later ones are like
READ_BYTES = 1 << 28  # for the memory's speed: more than any cache holds


@dataclass(frozen=True, kw_only=True)
class Run:
    """Seconds until the first sample, for each patch after the first, and of processor time."""

    first_s: float
    next_s: float
    next_cpu_s: float


def released_size() -> SpeechConfig:
    """Qwen2 0.5B, a flow head of 28 x 1024, a patch encoder of 28 x 1152, 44.1 kHz."""
    latent_dim, lm_dim = 64, 896
    return SpeechConfig(
        talker=TalkerConfig(
            vocab_size=152064,
            speaker_dim=192,
            steps=10,
            lm=qwen2(layers=24, dim=lm_dim, heads=14, kv_heads=2, inner_dim=4864),
            flow=FlowHeadConfig(
                latent_dim=latent_dim,
                condition_dim=lm_dim,
                patch=4,
                history=32,
                blocks=blocks(1024),
            ),
            aligned=None,
            patch_encoder=PatchEncoderConfig(
                latent_dim=latent_dim, out_dim=lm_dim, blocks=blocks(1152)
            ),
        ),
        vae=AudioVaeConfig(
            sample_rate_hz=44100,
            latent_dim=latent_dim,
            frames_per_latent=4,
            frame_samples=882,
            encoder_hop=882,
            decoder_hop=882,
            encoder=qwen2(layers=4, dim=lm_dim, heads=14, kv_heads=2, inner_dim=4864),
            summarizer=qwen2(layers=4, dim=lm_dim, heads=14, kv_heads=2, inner_dim=4864),
            decoder=qwen2(layers=24, dim=lm_dim, heads=14, kv_heads=2, inner_dim=4864),
        ),
        speaker=None,
    )


def qwen2(*, layers: int, dim: int, heads: int, kv_heads: int, inner_dim: int) -> DecoderConfig:
    """A Qwen2 decoder of these sizes."""
    return DecoderConfig(
        num_layers=layers,
        dim=dim,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=dim // heads,
        inner_dim=inner_dim,
        norm_eps=1e-6,
        rope_theta=1e6,
        qkv_bias=True,
        causal=True,
        windows=(None,) * layers,
    )


def blocks(dim: int) -> BlocksConfig:
    """28 blocks of 16 heads."""
    return BlocksConfig(
        depth=28, dim=dim, num_heads=16, inner_dim=4 * dim, qk_norm=False, rotary_heads=None
    )


def measure(options: Options) -> dict[str, Any]:
    """Measure both ways in turn, round by round; the first round warms up."""
    return measure_config(released_size(), options)


def measure_config(config: SpeechConfig, options: Options) -> dict[str, Any]:
    """The same for a talker of any size."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    model = random_model(config)
    peer = as_released(model)
    ways: dict[str, Callable[[], Run]] = {
        "mingle": lambda: speak(model, delay=0),
        "as_released": lambda: speak(peer, delay=1),
    }
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name in ways if number % 2 else reversed(ways):
            run = ways[name]()
            if number:
                runs[name].append(run)
    patch_s = config.patch_samples / config.sample_rate_hz
    return {
        "benchmark": "talker",
        "machine": describe_machine(),
        "dtype": "float32",
        "batch": 1,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "prompt_tokens": PROMPT_TOKENS,
        "rounds": options.rounds,
        "patch_s": round(patch_s, 4),
        **{name: figures(done, patch_s) for name, done in runs.items()},
        "ratio": compare(runs["mingle"], runs["as_released"]),
        "bound": bound(model, patch_s),
    }


def summary(result: dict[str, Any]) -> list[str]:
    """The result for people."""
    lines = [
        f"{result['parameters'] / 1e9:.2f} B parameters, fp32, {result['machine']['threads']} "
        f"threads, {result['rounds']} rounds, medians"
    ]
    for name in ("mingle", "as_released"):
        found = result[name]
        lines.append(
            f"{name:<12} real-time factor {found['real_time_factor']:6.2f}, "
            f"first sample after {found['first_sample_s']['median']:.2f} s"
        )
    ratio, limit = result["ratio"], result["bound"]
    lines.append(
        f"ratio        patches {ratio['patch']:.2f} (processor time {ratio['patch_cpu']:.2f}), "
        f"first sample {ratio['first_sample']:.2f} "
        "(above 1: Mingle is faster)"
    )
    lines.append(
        f"bound        real-time factor {limit['memory_real_time_factor']:.2f} by memory "
        f"({limit['memory_gb_per_s']:.1f} GB/s), {limit['compute_real_time_factor']:.2f} by "
        f"arithmetic ({limit['gflops']:.0f} GFLOPS)"
    )
    return lines


def random_model(config: SpeechConfig) -> SpeechModel:
    """A talker with drawn parameters, small enough that nothing overflows."""
    with torch.device("meta"):
        model = SpeechModel(config)
    model = model.to_empty(device="cpu").eval()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.02, 0.02, generator=draw)
    return model


class ReleasedFlowHead(FlowHead):
    """Two evaluations a step, one for each branch, and nothing kept from step to step."""

    def solve(
        self,
        condition: Float[Tensor, "batch condition_dim"],
        history: Float[Tensor, "batch history latent_dim"],
        noise: PatchNoise,
        options: FlowOptions,
    ) -> Float[Tensor, "batch patch latent_dim"]:
        """As FlowHead's, without kicks."""
        times = sway(time_grid(options.steps))

        def velocity(x: Tensor, step: int) -> Tensor:
            now = times[step].expand(x.shape[0])
            conditional = self(x, now, condition, history)
            return guide(conditional, self(x, now, condition * 0, history), options.guidance)

        return integrate(velocity, noise.start, times)


def as_released(model: SpeechModel) -> SpeechModel:
    """The same parameters in a model that solves as the released code does."""
    with torch.device("meta"):
        peer = SpeechModel(model.config)
        peer.talker.flow_head = ReleasedFlowHead(model.config.talker.flow)
    peer.load_state_dict(model.state_dict(), assign=True)
    return peer.eval()


@torch.no_grad()
def speak(model: SpeechModel, *, delay: int) -> Run:
    """Speak PATCHES patches; sound comes when `delay` more patches are there."""
    talker, config = model.talker, model.config.talker
    draw = torch.Generator().manual_seed(0)
    prompt = torch.randn(PROMPT_TOKENS, config.lm.dim, generator=draw)
    options = FlowOptions(steps=config.steps)
    loop = LoopOptions(flow=options, min_patches=PATCHES, max_patches=PATCHES)

    def noise(_: int) -> PatchNoise:
        return draw_noise(config.flow, config.steps, draw, prompt)

    state: Any = None  # of the autoencoder's or codec's own kind
    start = time.perf_counter()
    times: list[float] = []
    cpu_times: list[float] = []
    for patch in talker.patches(prompt, talker.first_history(None), loop, noise):
        _, state = model.vae.decode_step(patch.latents, state, last=patch.last)
        times.append(time.perf_counter())
        cpu_times.append(time.process_time())
    return Run(
        first_s=times[delay] - start,
        next_s=(times[-1] - times[0]) / (PATCHES - 1),
        next_cpu_s=(cpu_times[-1] - cpu_times[0]) / (PATCHES - 1),
    )


def figures(runs: list[Run], patch_s: float) -> dict[str, Any]:
    """Times of one way, and how many seconds it needs for a second of speech."""
    following = spread([run.next_s for run in runs])
    return {
        "first_sample_s": spread([run.first_s for run in runs]),
        "patch_s": following,
        "patch_cpu_s": spread([run.next_cpu_s for run in runs]),
        "real_time_factor": round(following["median"] / patch_s, 3),
    }


def compare(ours: list[Run], theirs: list[Run]) -> dict[str, float]:
    """Their time over ours, the median over rounds."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "patch": round(statistics.median(b.next_s / a.next_s for a, b in pairs), 3),
        "patch_cpu": round(statistics.median(b.next_cpu_s / a.next_cpu_s for a, b in pairs), 3),
        "first_sample": round(statistics.median(b.first_s / a.first_s for a, b in pairs), 3),
    }


def bound(model: SpeechModel, patch_s: float) -> dict[str, float]:
    """What this machine's memory and arithmetic allow, each alone: no way is faster than both."""
    talker, config = model.talker, model.config
    flow, steps = config.talker.flow, config.talker.steps
    frames = flow.patch * config.vae.frames_per_latent
    work = {  # module -> (times its weights are read for a patch, rows they are applied to each)
        talker.lm: (1, 1),
        talker.flow_head: (steps, 2 * (1 + flow.history + flow.patch)),
        talker.patch_encoder: (1, 1 + flow.patch),
        model.vae.decoder: (1, frames),
    }
    read = sum(times * _bytes(module) for module, (times, _) in work.items())
    flops = sum(times * rows * _bytes(module) / 2 for module, (times, rows) in work.items())
    memory, arithmetic = memory_speed(), arithmetic_speed()
    return {
        "weights_read_gb_per_patch": round(read / 1e9, 3),
        "memory_gb_per_s": round(memory / 1e9, 1),
        "memory_real_time_factor": round(read / memory / patch_s, 3),
        "gflop_per_patch": round(flops / 1e9, 1),
        "gflops": round(arithmetic / 1e9, 1),
        "compute_real_time_factor": round(flops / arithmetic / patch_s, 3),
    }


def memory_speed() -> float:
    """Bytes a second of a long sum, the best of five."""
    data = torch.ones(READ_BYTES // 4)
    return READ_BYTES / _best(lambda: data.sum())


def arithmetic_speed() -> float:
    """Multiplications and additions a second of a large matrix product, the best of five."""
    size = 1024
    a, b = torch.ones(size, size), torch.ones(size, size)
    return 2 * size**3 / _best(lambda: a @ b)


def _best(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _bytes(module: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())
