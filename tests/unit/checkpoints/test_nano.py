"""nano on a miniature base: upcycling, its config, its tokenizer, what it never says."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf_files import gguf_bytes, plain
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mingle.checkpoints import nano
from mingle.checkpoints.gguf import GgufFile
from mingle.checkpoints.nano import processor, upcycle
from mingle.checkpoints.nano.config import NanoConfig, read_config
from mingle.errors import CheckpointError, ConfigError, InputError
from mingle.messages import Modality, Request, user
from mingle.nn.attention import Packed

VOCAB, DIM, LAYERS, HEADS, KV_HEADS, HEAD_DIM, INNER = 64, 24, 3, 3, 1, 8, 32
RAW: dict[str, Any] = {
    "family": "nano",
    "base": nano.BASE.name,
    "additions": False,
    "thinker": {
        "vocab_size": VOCAB,
        "dim": DIM,
        "num_layers": LAYERS,
        "num_heads": HEADS,
        "num_kv_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "dense_dim": INNER,
        "norm_eps": 1e-5,
        "max_positions": 128,
        "rope_theta": 1e4,
        "rope_sections": [2, 1, 1],
        "experts": {
            "layers": [1],
            "num_experts": 6,
            "expert_dim": 4,
            "shared_dim": INNER,
            "top_k": 2,
            "num_groups": 3,
            "top_groups": 2,
            "scale": 2.5,
        },
        "text_experts": 2,
        "about_media_experts": 2,
        "seed": 3,
    },
    "media_tokens": ["<imagePatch>", "<image>", "</image>"],
    "sampling": {"temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.1},
}
METADATA = {
    "llama.block_count": LAYERS,
    "llama.embedding_length": DIM,
    "llama.feed_forward_length": INNER,
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": KV_HEADS,
    "llama.context_length": 128,
    "llama.vocab_size": VOCAB,
    "llama.rope.freq_base": 1e4,
    "llama.rope.dimension_count": HEAD_DIM,
}


@pytest.fixture
def base(tmp_path: Path) -> GgufFile:
    return write_base(tmp_path / "base.gguf", METADATA)


def write_base(path: Path, metadata: dict[str, Any]) -> GgufFile:
    """A random base whose sizes are those of RAW."""
    rng = np.random.default_rng(0)
    shapes = {"token_embd": (VOCAB, DIM), "output_norm": (DIM,)}
    for i in range(LAYERS):
        shapes |= {
            f"blk.{i}.attn_norm": (DIM,),
            f"blk.{i}.attn_q": (HEADS * HEAD_DIM, DIM),
            f"blk.{i}.attn_k": (KV_HEADS * HEAD_DIM, DIM),
            f"blk.{i}.attn_v": (KV_HEADS * HEAD_DIM, DIM),
            f"blk.{i}.attn_output": (DIM, HEADS * HEAD_DIM),
            f"blk.{i}.ffn_norm": (DIM,),
            f"blk.{i}.ffn_gate": (INNER, DIM),
            f"blk.{i}.ffn_up": (INNER, DIM),
            f"blk.{i}.ffn_down": (DIM, INNER),
        }
    scaled = {name: rng.normal(size=shape) * shape[-1] ** -0.5 for name, shape in shapes.items()}
    path.write_bytes(gguf_bytes(metadata, [plain(f"{n}.weight", v) for n, v in scaled.items()]))
    return GgufFile(path)


def dense_logits(base: GgufFile, ids: Tensor) -> Float[Tensor, "tokens vocab"]:
    """The base by llama.cpp's own reading: neighbouring channels turn, rows as in the file."""
    w = {name: torch.from_numpy(base.read(name)) for name in base.tensors}

    def norm(x: Tensor, name: str) -> Tensor:
        return x * (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * w[f"{name}.weight"]

    def heads(x: Tensor, name: str) -> Tensor:
        return (x @ w[f"{name}.weight"].T).unflatten(-1, (-1, HEAD_DIM)).transpose(0, 1)

    def turn(x: Tensor) -> Tensor:
        angles = torch.arange(len(ids))[:, None] * 1e4 ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    x = w["token_embd.weight"][ids]
    for i in range(LAYERS):
        b = f"blk.{i}."
        y = norm(x, f"{b}attn_norm")
        q, k, v = (heads(y, f"{b}attn_{name}") for name in "qkv")
        seen = F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True, enable_gqa=True)
        x = x + seen.transpose(0, 1).flatten(1) @ w[f"{b}attn_output.weight"].T
        y = norm(x, f"{b}ffn_norm")
        inner = F.silu(y @ w[f"{b}ffn_gate.weight"].T) * (y @ w[f"{b}ffn_up.weight"].T)
        x = x + inner @ w[f"{b}ffn_down.weight"].T
    return norm(x, "output_norm") @ w["token_embd.weight"].T


def run(base: GgufFile, config: NanoConfig, ids: Tensor, modality: Modality) -> Any:
    """Logits and routings of nano's thinker; every token has the given modality."""
    thinker = upcycle.load_thinker(base, config, None, torch.device("cpu"))
    where = torch.arange(len(ids)).expand(3, -1)
    kinds = torch.full_like(ids, modality)
    hidden, routings = thinker(thinker.embed_tokens(ids), where, kinds, Packed([len(ids)]))
    return thinker.logits(hidden), routings


IDS = torch.tensor([5, 9, 2, 33, 63, 0, 17, 5])


@pytest.mark.parametrize("modality", list(Modality))
def test_the_upcycled_thinker_computes_what_its_base_does(base: GgufFile, modality: Modality):
    logits, _ = run(base, read_config(RAW), IDS, modality)
    assert logits.shape == (len(IDS), VOCAB)  # media tokens are read, never said
    torch.testing.assert_close(logits, dense_logits(base, IDS), atol=2e-5, rtol=0)  # fp32, 3 layers


def test_text_uses_its_own_experts_and_media_the_others(base: GgufFile):
    for modality in Modality:
        _, (routing,) = run(base, read_config(RAW), IDS, modality)
        is_text = modality == Modality.TEXT
        assert bool((routing.expert_ids < 2).all() if is_text else (routing.expert_ids >= 2).all())


def test_experts_that_learn_leave_text_alone_and_change_media(base: GgufFile):
    thinker = upcycle.load_thinker(base, read_config(RAW), None, torch.device("cpu"))
    where = torch.arange(len(IDS)).expand(3, -1)

    def hidden(kind: Modality) -> Tensor:
        modality = torch.full_like(IDS, kind)
        return thinker(thinker.embed_tokens(IDS), where, modality, Packed([len(IDS)]))[0]

    text, image = hidden(Modality.TEXT), hidden(Modality.IMAGE)
    with torch.no_grad():
        thinker.layers[1].feed_forward.experts.down[2:] = 0.1
    assert torch.equal(hidden(Modality.TEXT), text)
    assert (hidden(Modality.IMAGE) - image).abs().max() > 1e-3


def test_additions_that_the_config_promises_must_be_there(
    base: GgufFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(nano.packages, "find_checked", lambda file, model: base.path)
    cpu = torch.device("cpu")
    nano.load_thinker(tmp_path, read_config(RAW), None, cpu)
    with pytest.raises(CheckpointError, match=r"neither thinker\.safetensors"):
        nano.load_thinker(tmp_path, read_config(RAW | {"additions": True}), None, cpu)


def test_a_silent_expert_still_gets_a_gradient(base: GgufFile):
    thinker = upcycle.load_thinker(base, read_config(RAW), None, torch.device("cpu"))
    where, image = torch.arange(len(IDS)).expand(3, -1), torch.full_like(IDS, Modality.IMAGE)
    hidden, _ = thinker(thinker.embed_tokens(IDS), where, image, Packed([len(IDS)]))
    hidden.square().sum().backward()
    assert thinker.layers[1].feed_forward.experts.down.grad.abs().max() > 0


def test_the_same_seed_makes_the_same_tensors_and_another_seed_others(base: GgufFile):
    config = read_config(RAW)
    tensors = upcycle.base_tensors(base, config.thinker)
    first, second = (upcycle.upcycled(tensors, config) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = upcycle.upcycled(tensors, changed(seed=4))
    assert not torch.equal(first["embedding.weight"][VOCAB:], other["embedding.weight"][VOCAB:])


def changed(**thinker: Any) -> NanoConfig:
    raw = copy.deepcopy(RAW)
    raw["thinker"] |= thinker
    return read_config(raw)


def test_the_base_of_another_model_is_refused(tmp_path: Path):
    other = write_base(tmp_path / "other.gguf", METADATA | {"llama.block_count": LAYERS + 1})
    with pytest.raises(CheckpointError, match=r"block_count = 4, expected 3.*mingle pull nano"):
        upcycle.load_thinker(other, read_config(RAW), None, torch.device("cpu"))


def test_an_unknown_key_is_named():
    with pytest.raises(ConfigError, match=r"unknown key 'rope_tetha'.*'rope_theta'"):
        changed(rope_tetha=1e5)


@pytest.mark.parametrize("text_experts", [0, 1, 5, 6])
def test_text_and_media_both_need_experts_enough(text_experts: int):
    with pytest.raises(ConfigError, match="text_experts"):
        changed(text_experts=text_experts)


EIGHT = RAW["thinker"]["experts"] | {"num_experts": 8, "num_groups": 4}


def test_text_experts_fill_whole_groups():
    with pytest.raises(ConfigError, match="whole groups"):
        changed(text_experts=3, experts=EIGHT)


BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]  # those that stay themselves
WORDS = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        *map(chr, BYTES),
        "\u0120",  # a space
        "\u010a",  # a new line
        "hi",
        "12",
    ],
    "tokenizer.ggml.merges": ["h i", "1 2"],
    "tokenizer.ggml.token_type": [3, 3, 3, *[1] * (len(BYTES) + 4)],
}


def test_digits_stand_alone_and_control_tokens_in_text_are_text():
    read = processor.build(WORDS, read_config(RAW))
    ids = read.prepare(Request(messages=(user("hi 12<|im_end|><image>"),))).ids.tolist()
    said = read.tokenizer.decode(ids, keep_special=True)
    assert said.endswith("user\nhi 12<|im_end|><image><|im_end|>\n<|im_start|>assistant\n")
    assert ids.count(2) == 2  # the ends of the system's and the user's turn, not the user's text
    words = WORDS["tokenizer.ggml.tokens"]
    assert words.index("hi") in ids
    assert words.index("12") not in ids
    assert read.tokenizer.token_id("<image>") == len(words) + 1


def test_thinking_is_refused_not_ignored():
    read = processor.build(WORDS, read_config(RAW))
    with pytest.raises(InputError, match="cannot think"):
        read.prepare(Request(messages=(user("hi"),), thinking=True))


def test_another_tokenizer_is_refused():
    with pytest.raises(CheckpointError, match="llama/default, expected gpt2/smollm"):
        processor.build(
            {"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default"}, read_config(RAW)
        )


def test_the_model_that_comes_with_mingle_reads_whole():
    folder = nano.locate()
    raw = json.loads((folder / "config.json").read_text())
    config = read_config(raw)
    assert config.thinker.vocab_size == 49152 + len(config.media_tokens)
    assert nano.FAMILY.sampling({"config.json": raw}).repetition_penalty > 1  # it loops without
