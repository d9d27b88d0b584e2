"""nano's thinker, made from its base: the dense language model becomes a mixture of experts.

Each dense feed-forward of an expert layer becomes the shared expert. The routed experts are new:
gate and up are random, *down is zero*, so that they add nothing until they are trained, while
their gradients do not vanish (with all three at zero nothing would ever move). The text the
thinker writes is therefore exactly the base's.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from mingle.checkpoints.gguf import GgufFile
from mingle.checkpoints.mapping import Join, Rename, Rule, apply
from mingle.checkpoints.nano.additions import PART, put
from mingle.checkpoints.nano.config import NanoConfig
from mingle.checkpoints.streaming import build_on_meta
from mingle.errors import CheckpointError
from mingle.messages import Modality
from mingle.thinker.config import ThinkerConfig
from mingle.thinker.model import Thinker

PREFERENCE = 2.0  # added to a selection rank: more than any sigmoid score, so it always decides
METADATA = {  # what the base's file must say about itself -> ours
    "block_count": "num_layers",
    "embedding_length": "dim",
    "feed_forward_length": "dense_dim",
    "attention.head_count": "num_heads",
    "attention.head_count_kv": "num_kv_heads",
    "context_length": "max_positions",
    "vocab_size": "output_size",
}


def build(config: NanoConfig) -> Thinker:
    """The module, with untrained parameters."""
    return Thinker(config.thinker)


def load_thinker(
    base: GgufFile,
    config: NanoConfig,
    dtype: torch.dtype | None,
    device: torch.device,
    additions: Mapping[str, Tensor] | None = None,
) -> Thinker:
    """Build nano's thinker from the base, and from what training added to it, if it did.

    Raises CheckpointError if the base is another model's file or the additions do not fit.
    """
    check_base(base, config.thinker)
    thinker = build_on_meta(lambda: build(config))
    assert isinstance(thinker, Thinker)
    state = upcycled(base_tensors(base, config.thinker), config)
    if additions is not None:
        put(state, additions, config, f"{PART}.safetensors")
    state = {name: tensor.to(device=device, dtype=dtype) for name, tensor in state.items()}
    thinker.load_state_dict(state, assign=True, strict=True)
    return thinker


def upcycled(base: Mapping[str, Tensor], config: NanoConfig) -> dict[str, Tensor]:
    """All of the thinker's tensors: the base's under our names, and those that begin here.

    The same config makes the same tensors, on any machine.
    """
    state, _ = apply(rules(config.thinker), base)
    generator = torch.Generator().manual_seed(config.seed)
    embedding = state["embedding.weight"]
    media = _media_embeddings(embedding, len(config.media_tokens), generator)
    state["embedding.weight"] = torch.cat((embedding, media))
    sparse = config.thinker.sparse
    assert sparse is not None
    for layer in sparse.layers:
        begin = f"layers.{layer}.feed_forward."
        state |= {begin + name: value for name, value in _experts(config, generator).items()}
    return state


def base_tensors(file: GgufFile, config: ThinkerConfig) -> dict[str, Tensor]:
    """The base's tensors by their names in the GGUF; query and key rows in the usual order.

    llama.cpp turns neighbouring channels, so its files hold the rows of each head interleaved.
    """
    tensors = {name: torch.from_numpy(file.read(name)) for name in file.tensors}
    for layer in range(config.num_layers):
        for name, heads in (("q", config.num_heads), ("k", config.num_kv_heads)):
            key = f"blk.{layer}.attn_{name}.weight"
            rows = tensors[key].unflatten(0, (heads, -1, 2))  # heads pairs 2 dim
            tensors[key] = rows.transpose(1, 2).flatten(0, 2).contiguous()
    return tensors


def rules(config: ThinkerConfig) -> tuple[Rule, ...]:
    """Names in the GGUF (llama.cpp's for the Llama architecture) <-> ours."""
    return (
        Rename("token_embd.weight", "embedding.weight"),
        Rename("output_norm.weight", "norm.weight"),
        *(rule for i in range(config.num_layers) for rule in _layer_rules(config, i)),
    )


def check_base(file: GgufFile, config: ThinkerConfig) -> None:
    """Raise CheckpointError unless the file is the base that the config describes."""
    expected = {f"llama.{key}": getattr(config, ours) for key, ours in METADATA.items()}
    expected["llama.rope.freq_base"] = config.rope.theta
    expected["llama.rope.dimension_count"] = config.rope.rotary_dim
    for key, value in expected.items():
        if file.metadata.get(key) != value:
            raise CheckpointError(
                f"{file.path} says {key} = {file.metadata.get(key)}, expected {value}; "
                "is it another model's file? run: mingle pull nano"
            )


def _layer_rules(config: ThinkerConfig, i: int) -> tuple[Rule, ...]:
    theirs, ours = f"blk.{i}.", f"layers.{i}."
    sizes = (config.num_heads, config.num_kv_heads, config.num_kv_heads)
    queries_keys_values = tuple(f"{theirs}attn_{name}.weight" for name in "qkv")
    gate_up = (f"{theirs}ffn_gate.weight", f"{theirs}ffn_up.weight")
    return (
        Rename(f"{theirs}attn_norm.weight", f"{ours}attention_norm.weight"),
        Join(queries_keys_values, f"{ours}attention.qkv.weight", sizes),
        Rename(f"{theirs}attn_output.weight", f"{ours}attention.out.weight"),
        Rename(f"{theirs}ffn_norm.weight", f"{ours}feed_forward_norm.weight"),
        Join(gate_up, f"{ours}feed_forward.shared.gate_up.weight", (1, 1)),
        Rename(f"{theirs}ffn_down.weight", f"{ours}feed_forward.shared.down.weight"),
    )


def _media_embeddings(base: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """New rows about the base's mean row, scattered like its rows."""
    noise = torch.randn(count, base.shape[1], generator=generator)
    return base.mean(0) + noise * base.std(0)


def _experts(config: NanoConfig, generator: torch.Generator) -> dict[str, Tensor]:
    """Experts that add nothing yet, and routers that keep text's experts for text."""
    sparse, dim = config.thinker.sparse, config.thinker.dim
    assert sparse is not None
    count, inner = sparse.num_experts, sparse.expert_dim
    tensors = {
        "experts.gate_up": torch.randn(count, 2 * inner, dim, generator=generator) * dim**-0.5,
        "experts.down": torch.zeros(count, dim, inner),
    }
    for kind in sparse.routers:
        router = f"routers.{kind.name.lower()}."
        weight = torch.randn(count, dim, generator=generator) * dim**-0.5
        tensors[router + "weight"] = weight
        tensors[router + "selection_bias"] = _preferences(config, count)[kind] * PREFERENCE
    return tensors


def _preferences(config: NanoConfig, count: int) -> dict[Modality, Tensor]:
    """For each router which experts are its own (1), which somebody else's (-1), which shared."""
    number = torch.arange(count)
    text = (number < config.text_experts).float()
    about = (number >= count - config.about_media_experts).float()
    return {
        Modality.TEXT: text - about,
        Modality.IMAGE: -text - about,
        Modality.AUDIO: -text - about,
        Modality.ABOUT_MEDIA: about - text,
    }
