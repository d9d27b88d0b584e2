"""The same answers on a GPU as on the processor, from every door; skipped where there is none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mingle
from mingle.engine.assistant import Assistant
from mingle.engine.speak import SpeakOptions
from mingle.messages import TextDelta
from mingle.nn import moe
from mingle.nn.moe import Experts
from mingle.training.loop import Options, train
from mingle.training.recipe import load

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]
PLAIN = {"temperature": 0.0, "max_new_tokens": 12}
RECIPE = """
task: omni
seed: 1
model: {{start: {model}, parts: [thinker]}}
stages:
  - name: only
    steps: 3
    train: ["thinker.*"]
    data: {{sources: [{{manifest: {manifest}, weight: 1.0}}], lessons: [text], budget: 60,
            window: 4, draws: 1, time_shift: 1.0, crop_latents: 3, condition_drop: 0.0,
            history_drop: 0.0, max_bad: 0.0}}
    losses: {{text: 1.0}}
    optimizer: {{lr: 1.0e-3, betas: [0.9, 0.95], eps: 1.0e-8, weight_decay: 0.0, clip_norm: 1.0}}
    schedule: {{warmup_steps: 1, decay_steps: 1, decay: cosine, final_factor: 0.5}}
    balance: {{batch: {{text: 0.001}}, bias_step: 0.001}}
save: {{every_minutes: 60, keep: 1}}
log_every: 1
"""
EXCHANGE = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]


@pytest.fixture(scope="module")
def both(whole_miniature: Path):
    """The miniature on the processor and on the GPU."""
    with (
        mingle.load(str(whole_miniature)) as near,
        mingle.load(str(whole_miniature), device="cuda") as far,
    ):
        yield near, far


def test_every_part_is_there(both: tuple[Assistant, Assistant]):
    far = both[1]
    model = far.need(*far.folder.parts)
    assert {parameter.device.type for parameter in model.parameters()} == {"cuda"}


@pytest.mark.parametrize("media", ["text", "picture", "recording"])
def test_chat_says_the_same(both, media, png, wav):
    given = {"text": {}, "picture": {"images": [png]}, "recording": {"audio": [wav]}}[media]
    near, far = (one.chat("What is this?", **given, **PLAIN).text for one in both)
    assert near == far


def test_several_chats_at_once_say_the_same(both):
    told = []
    for one in both:
        requests = [one.request(f"{number}?", **PLAIN) for number in range(4)]
        asked = [one.engine.submit(request) for request in requests]
        told.append([[e.text for e in events if isinstance(e, TextDelta)] for events in asked])
    assert told[0] == told[1]


def test_recordings_are_written_down_alike(both, wav):
    near, far = (one.transcribe(wav).text for one in both)
    assert near == far


@pytest.mark.parametrize("cloned", [False, True])
def test_speech_sounds_alike(both, cloned, wav):
    made = []
    for one in both:
        voice = one.speech.voices.clone([wav]) if cloned else None
        pieces = one.speak("Hello there.", voice=voice, options=SpeakOptions(seed=1))
        made.append(np.concatenate([piece.samples for piece in pieces]))
    assert len(made[0]) == len(made[1])
    assert np.abs(made[0] - made[1]).max() < 0.02


@pytest.mark.parametrize("door", ["paint", "edit", "segment"])
def test_pictures_look_alike(both, door, png):
    made = []
    for one in both:
        if door == "paint":
            (found,) = one.paint("a cat", size=(64, 48), steps=2, seed=3)
        elif door == "edit":
            (found,) = one.edit(png, "make it blue", resolution=512, steps=2, seed=3)
        else:
            found = one.segment(png, "the cat", resolution=512, steps=2, seed=3)
        picture = found.mask if door == "segment" else found.image
        made.append(np.asarray(picture, np.float32))
    assert np.abs(made[0] - made[1]).mean() < 1.0  # of 255


def test_half_precision_answers(whole_miniature, png):
    with mingle.load(str(whole_miniature), device="cuda", dtype="bfloat16") as far:
        assert far.chat("What is this?", images=[png], **PLAIN).usage.completion_tokens > 0
        assert far.paint("a cat", size=(64, 48), steps=1)


@pytest.mark.parametrize(("dim", "inner"), [(8, 8), (576, 128)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_grouped_experts_and_their_gradients(dim, inner, dtype):
    experts = Experts(6, dim, inner).to("cuda", dtype)
    counts = torch.tensor([0, 3, 0, 37, 1, 0], device="cuda")
    found = []
    for compute in (moe.grouped, moe.expert_by_expert):
        draw = torch.Generator("cuda").manual_seed(2)
        rows = torch.randn(41, dim, device="cuda", generator=draw).to(dtype).requires_grad_()
        made = compute(rows, experts.gate_up, experts.down, counts)
        made.float().square().sum().backward()
        found.append([made, rows.grad, experts.gate_up.grad, experts.down.grad])
        experts.zero_grad()
    coarse = 0.05 if dtype == torch.bfloat16 else 1e-4
    for grouped, single in zip(*found, strict=True):
        torch.testing.assert_close(grouped, single, atol=coarse, rtol=coarse)


def test_experts_of_any_size():
    experts, draw = Experts(6, 8, 5), torch.Generator().manual_seed(2)
    x, weights = torch.randn(9, 8, generator=draw), torch.rand(9, 2, generator=draw)
    ids = torch.stack([torch.randperm(6, generator=draw)[:2] for _ in range(9)])
    near = experts(x, ids, weights)
    far = experts.cuda()(x.cuda(), ids.cuda(), weights.cuda()).cpu()
    torch.testing.assert_close(near, far, atol=1e-5, rtol=1e-4)


def test_training_takes_the_same_steps(whole_miniature, tmp_path):
    manifest = tmp_path / "text.jsonl"
    manifest.write_text((json.dumps({"messages": EXCHANGE}) + "\n") * 8)
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPE.format(model=whole_miniature, manifest=manifest))
    losses = []
    for device in ("cpu", "cuda"):
        train(replace(load(file), device=device), tmp_path / device, Options(quiet=True))
        lines = (tmp_path / device / "log.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in lines])
    assert len(losses[0]) == 3
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
