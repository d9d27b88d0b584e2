"""What training a thinker on a cluster takes: memory a rank, traffic a step, expected MFU.

Computed from the model's shapes and from the assumptions that stand in `Cluster` and below; nothing
here was measured on such a machine.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from mingle.errors import ConfigError
from mingle.messages import ROUTED
from mingle.nn.moe import Choice
from mingle.thinker.config import RopeConfig, SparseConfig, ThinkerConfig
from mingle.thinker.model import Thinker

GIB = 2**30
STATE_BYTES = 2 + 2 + 4 + 4 + 4  # a parameter: bf16 weight and gradient, fp32 master, two moments
BF16 = 2


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A kind of GPU in nodes. Rates are peaks; the shares say what of them is expected."""

    memory_gib: float
    tflops: float  # dense bf16
    node_gpus: int
    node_gb_s: float  # each GPU to the others of its node, one way
    network_gb_s: float  # each GPU to other nodes, one way
    matmul_share: float = 0.60  # of the peak, for large products
    experts_share: float = 0.45  # of the peak, for products of unequal groups and attention
    link_share: float = 0.70


CLUSTERS = {
    "h100": Cluster(memory_gib=80.0, tflops=989.0, node_gpus=8, node_gb_s=450.0, network_gb_s=50.0),
    "h200": Cluster(
        memory_gib=141.0, tflops=989.0, node_gpus=8, node_gb_s=450.0, network_gb_s=50.0
    ),
    "a100": Cluster(memory_gib=80.0, tflops=312.0, node_gpus=8, node_gb_s=300.0, network_gb_s=25.0),
}

FLASH_OMNI_2 = ThinkerConfig(  # the released sizes (docs/families.md)
    vocab_size=157184,
    output_size=157184,
    dim=4096,
    num_layers=32,
    num_heads=32,
    num_kv_heads=4,
    head_dim=128,
    dense_dim=9216,
    norm_eps=1e-6,
    qk_norm=True,
    tied_embeddings=False,
    max_positions=32768,
    rope=RopeConfig(theta=2.4e6, rotary_dim=64, axes="video_rope", sections=(8, 12, 12)),
    sparse=SparseConfig(
        layers=tuple(range(1, 32)),
        num_experts=256,
        expert_dim=1024,
        shared_dim=1024,
        choice=Choice(top_k=8, num_groups=8, top_groups=4, scale=2.5),
        routers=ROUTED,
    ),
)
MODELS = {"flash-omni-2": FLASH_OMNI_2}


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Parameters of a thinker by how they are split, and those a token uses."""

    dense: int
    experts: int
    active_dense: int
    active_experts: int
    layers: int
    sparse_layers: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One way to train, and what it takes. Bytes in GiB, times in seconds."""

    gpus: int
    expert_ranks: int
    tokens_per_gpu: int
    states_gib: float
    gathered_gib: float
    activations_gib: float
    memory_gib: float
    fits: bool
    gather_gb: float
    all_to_all_gb: float
    compute_s: float
    gather_s: float
    all_to_all_s: float
    step_s: float
    mfu: float
    tokens_per_s: float


@dataclass(frozen=True, kw_only=True)
class Load:
    """What each GPU does in a step: packed tokens, in sequences of `length`."""

    tokens: int
    length: int


def plan(model: str, gpu: str, *, gpus: int, load: Load) -> dict[str, Any]:
    """Every useful split of experts for so many GPUs, the fastest that fits first.

    Raises ConfigError for unknown names and for numbers of GPUs that fill no nodes.
    """
    for name, table in ((model, MODELS), (gpu, CLUSTERS)):
        if name not in table:
            raise ConfigError(f"'{name}' is not known here; known: {', '.join(table)}")
    config, cluster = MODELS[model], CLUSTERS[gpu]
    if gpus < 1 or (gpus > cluster.node_gpus and gpus % cluster.node_gpus):
        raise ConfigError(
            f"--gpus {gpus}: expected up to {cluster.node_gpus}, or a multiple of it (whole nodes)"
        )
    if not 1 <= load.length <= load.tokens:
        raise ConfigError(
            f"--length {load.length}: expected 1 to {load.tokens}, the tokens of a step (--tokens)"
        )
    assert config.sparse is not None
    shapes = count(config)
    splits = [
        n for n in (1, 2, 4, 8, 16, 32, 64) if gpus % n == 0 and config.sparse.num_experts >= n
    ]
    plans = [_plan(config, shapes, cluster, gpus, n, load) for n in splits]
    ranked = sorted(plans, key=lambda one: (not one.fits, one.step_s))
    return {
        "model": model,
        "parameters": shapes.dense + shapes.experts,
        "active_parameters": shapes.active_dense + shapes.active_experts,
        "gpu": gpu,
        "assumptions": asdict(cluster),
        "plans": [asdict(one) for one in ranked],
    }


def count(config: ThinkerConfig) -> Shapes:
    """Count a thinker's parameters without making them."""
    assert config.sparse is not None
    with torch.device("meta"):
        thinker = Thinker(config)
    sizes = {name: p.numel() for name, p in thinker.named_parameters()}
    experts = sum(size for name, size in sizes.items() if ".experts." in name)
    unused = sizes["embedding.weight"]  # a row is looked up, nothing multiplied
    routers = sum(size for name, size in sizes.items() if ".routers." in name)
    dense = sum(sizes.values()) - experts
    share = config.sparse.choice.top_k / config.sparse.num_experts
    return Shapes(
        dense=dense,
        experts=experts,
        active_dense=dense - unused - routers * (len(config.sparse.routers) - 1) // 3,
        active_experts=int(experts * share),
        layers=config.num_layers,
        sparse_layers=len(config.sparse.layers),
    )


def _plan(
    config: ThinkerConfig, shapes: Shapes, cluster: Cluster, gpus: int, ranks: int, load: Load
) -> Plan:
    tokens = load.tokens
    attention = _attention_flops(config, load)
    assert config.sparse is not None
    states = STATE_BYTES * (shapes.dense + shapes.experts) / gpus
    layer = (shapes.dense / shapes.layers + shapes.experts / shapes.sparse_layers / ranks) * BF16
    gathered = 2 * layer + layer  # two layers' weights (one ahead), one layer's gradients
    activations = _activations(config, tokens)
    memory = (states + gathered + activations) / GIB
    data = gpus // ranks
    # twice gathered, once reduced
    gather_dense = 3 * BF16 * shapes.dense * (gpus - 1) / gpus
    gather_experts = 3 * BF16 * shapes.experts / ranks * (data - 1) / data
    rows = tokens * config.sparse.choice.top_k * shapes.sparse_layers
    # there and back, forward, again when recomputed, and backward
    travel = 6 * rows * config.dim * BF16 * (ranks - 1) / ranks
    compute = _compute_s(shapes, cluster, tokens, attention)
    gather_s = _gather_s(gather_dense, cluster, gpus, together=cluster.node_gpus)
    together = max(1, cluster.node_gpus // ranks)
    gather_s += _gather_s(gather_experts, cluster, gpus, together=together)
    near = min(1.0, cluster.node_gpus / ranks)  # share of the rows that stays in the node
    speed = cluster.link_share * 1e9
    travel_s = travel * (near / cluster.node_gb_s + (1 - near) / cluster.network_gb_s) / speed
    step = max(compute, gather_s) + travel_s  # gathering hides behind products, travel does not
    useful = 6 * (shapes.active_dense + shapes.active_experts) * tokens + 3 * attention
    return Plan(
        gpus=gpus,
        expert_ranks=ranks,
        tokens_per_gpu=tokens,
        states_gib=states / GIB,
        gathered_gib=gathered / GIB,
        activations_gib=activations / GIB,
        memory_gib=memory,
        fits=memory <= 0.92 * cluster.memory_gib,  # the rest: CUDA, NCCL, fragments
        gather_gb=(gather_dense + gather_experts) / 1e9,
        all_to_all_gb=travel / 1e9,
        compute_s=compute,
        gather_s=gather_s,
        all_to_all_s=travel_s,
        step_s=step,
        mfu=useful / (step * cluster.tflops * 1e12),
        tokens_per_s=gpus * tokens / step,
    )


def _activations(config: ThinkerConfig, tokens: int) -> float:
    """Layer inputs of all layers, everything inside one layer, logits in blocks of 2048 tokens."""
    assert config.sparse is not None
    kept = tokens * config.dim * BF16 * config.num_layers
    heads = (2 * config.num_heads + 2 * config.num_kv_heads) * config.head_dim
    experts = config.sparse.choice.top_k * (3 * config.sparse.expert_dim + 2 * config.dim)
    inside = tokens * BF16 * (6 * config.dim + heads + experts + 3 * config.sparse.shared_dim)
    logits = min(tokens, 2048) * config.output_size * (BF16 + 4)
    return float(kept + 2 * inside + logits)  # values and their gradients


def _attention_flops(config: ThinkerConfig, load: Load) -> int:
    """Of queries with keys and with values, forward; a causal token sees half its sequence."""
    width = config.num_heads * config.head_dim
    return 2 * width * load.length * config.num_layers * load.tokens


def _compute_s(shapes: Shapes, cluster: Cluster, tokens: int, attention: int) -> float:
    """Forward, forward again (recomputed) and backward: 8 FLOPs a parameter and token.

    Attention goes four times its forward way, at the rate of unequal groups.
    """
    peak = cluster.tflops * 1e12
    dense = 8 * shapes.active_dense * tokens / (peak * cluster.matmul_share)
    unequal = 8 * shapes.active_experts * tokens + 4 * attention
    return dense + unequal / (peak * cluster.experts_share)


def _gather_s(num_bytes: float, cluster: Cluster, gpus: int, *, together: int) -> float:
    """Time to gather or reduce so much on each GPU of a group with `together` members a node.

    Over several nodes a ring enters each node through the network links of all its members.
    """
    rate = cluster.node_gb_s
    if gpus > cluster.node_gpus:
        rate = min(rate, together * cluster.network_gb_s)
    return num_bytes / (rate * cluster.link_share * 1e9)
