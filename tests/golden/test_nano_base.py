"""nano on its real base: the same next-token distribution as transformers' Llama, in fp32.

Needs the base weights (`mingle pull nano`, which `make test` runs) and transformers.
"""

from typing import Any

import pytest
import torch

from mingle.checkpoints import packages
from mingle.checkpoints.gguf import GgufFile
from mingle.checkpoints.load import open_model
from mingle.checkpoints.nano import BASE, NAME
from mingle.errors import CheckpointError
from mingle.evaluation.bench.llama import transformers_llama
from mingle.messages import Message, Modality, Request, Text, user
from mingle.nn.attention import Cached, Packed
from mingle.nn.cache import KVCache

TOLERANCE = 1e-4  # of a probability, fp32; measured 5e-6 to 2e-5
PROMPTS = [
    "What is the capital of France?",
    "Write a poem about the sea in four lines.",
    "def fibonacci(n):\n    # 12345\n",
    "Z\u00fcrich, \u6771\u4eac \U0001f642 <|im_end|> <image>",
    "word " * 300,
]


@pytest.fixture(scope="module")
def folder() -> Any:
    try:
        packages.find(BASE, NAME)
    except CheckpointError as error:
        pytest.skip(str(error))
    return open_model(NAME)


@pytest.fixture(scope="module")
def nano(folder: Any) -> Any:
    return folder.load()


@pytest.fixture(scope="module")
def llama(folder: Any, nano: Any) -> Any:
    pytest.importorskip("transformers")
    base = GgufFile(packages.find(BASE, NAME))
    return transformers_llama(base, nano.thinker.config, folder.processor().stop_ids)


@torch.inference_mode()
def test_next_token_distribution_is_the_bases(folder: Any, nano: Any, llama: Any):
    processor = folder.processor()
    for prompt in PROMPTS:
        ids = torch.from_numpy(processor.prepare(Request(messages=(user(prompt),))).ids)
        where = torch.arange(len(ids)).expand(3, -1)
        text = torch.full_like(ids, Modality.TEXT)
        hidden, _ = nano.thinker(nano.thinker.embed_tokens(ids), where, text, Packed([len(ids)]))
        ours = nano.thinker.logits(hidden).softmax(-1)
        theirs = llama(ids[None]).logits[0].softmax(-1)
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < TOLERANCE, prompt


@torch.inference_mode()
def test_greedy_tokens_are_the_bases(folder: Any, nano: Any, llama: Any):
    processor = folder.processor()
    story = Message(role="system", parts=(Text(text="You tell stories."),))
    request = Request(messages=(story, user("Tell me about a fox.")))
    ids = torch.from_numpy(processor.prepare(request).ids)
    theirs = llama.generate(ids[None], max_new_tokens=12, do_sample=False)[0, len(ids) :].tolist()
    cache = KVCache(nano.thinker.config.num_layers)
    ours: list[int] = []
    new = ids
    while len(ours) < len(theirs):
        attend = Cached([cache], [len(new)])
        where = torch.arange(cache.length, cache.length + len(new)).expand(3, -1)
        text = torch.full_like(new, Modality.TEXT)
        hidden, _ = nano.thinker(nano.thinker.embed_tokens(new), where, text, attend)
        attend.commit()
        new = nano.thinker.logits(hidden[-1:]).argmax(-1)
        ours.append(int(new))
    assert ours == theirs
