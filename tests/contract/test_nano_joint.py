"""nano's joint stage: what it hears and sees trains the media's experts, and comes back whole."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mingle.checkpoints.nano import NAME
from mingle.messages import Audio, Image, Message, Modality, Request, Text, user
from mingle.training.streams import Batch
from mingle.training.tasks.senses import SensesModel, SensesTask
from mingle.worlds import talk

pytestmark = pytest.mark.slow
LEARN = ("experts", "routers.image", "routers.audio", "routers.about_media", "omni.audio.projector")


def drawn_and_said(rng: np.random.Generator, split: str) -> talk.Conversation:
    """A picture, a recording and typed words: noise does where no voice is installed."""
    picture = rng.integers(256, size=(64, 64, 3), dtype=np.uint8)
    sound = rng.normal(size=16_000).astype(np.float32) / 8
    asked = user("What is this?", Image(source=picture), Audio(source=(sound, 16_000)))
    answer = Message(role="assistant", parts=(Text(text="noise"),))
    return talk.Conversation(messages=(asked, answer), kinds=("both",))


@pytest.fixture(scope="module")
def task(nano_itself) -> SensesTask:
    return SensesTask(SensesModel(start=NAME, parts=("thinker", "vision", "audio")))


def outcome_of(task: SensesTask, monkeypatch: pytest.MonkeyPatch, grad: bool = False):
    monkeypatch.setitem(talk.CONVERSATIONS, "both", drawn_and_said)
    lessons = [task.lesson(np.random.default_rng(0), "both", "train")]
    with torch.set_grad_enabled(grad):
        return task.losses(Batch(data=lessons, samples=1, tokens=1), torch.Generator())


def test_every_medium_trains_its_own_router(task: SensesTask, monkeypatch: pytest.MonkeyPatch):
    for name, parameter in task.model.named_parameters():
        parameter.requires_grad_(any(part in name for part in LEARN))
        parameter.grad = None
    outcome = outcome_of(task, monkeypatch, grad=True)
    outcome.losses["answer"].backward()
    reached = {n for n, p in task.model.named_parameters() if p.grad is not None and p.grad.any()}
    for part in LEARN:
        assert any(part in name for name in reached), part
    for name, parameter in task.model.named_parameters():
        if ".experts." in name:
            assert not parameter.grad[:2].any(), name  # text's own
    heard = [int((routing.modality == Modality.AUDIO).sum()) for routing in outcome.routings]
    assert heard == [25] * len(heard)  # a second
    experts = torch.cat([r.expert_ids[r.modality == Modality.AUDIO] for r in outcome.routings])
    assert set(experts.flatten().tolist()) <= set(range(2, 8))


def test_what_was_learned_is_read_back(
    task: SensesTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = float(outcome_of(task, monkeypatch).losses["answer"])
    with torch.no_grad():
        task.model.omni.audio.projector[0].bias.add_(0.5)
        task.model.media_tokens.mul_(1.5)
    changed = float(outcome_of(task, monkeypatch).losses["answer"])
    assert abs(changed - before) > 1e-3
    task.export(tmp_path)
    again = SensesTask(SensesModel(start=str(tmp_path), parts=("thinker", "vision", "audio")))
    read = float(outcome_of(again, monkeypatch).losses["answer"])
    assert read == pytest.approx(changed, abs=5e-3)  # stored in fp16


def test_embeddings_of_sound_are_as_long_as_words(nano_itself):
    sound = np.random.default_rng(1).normal(size=16_000).astype(np.float32)
    prompt = nano_itself.processor.prepare(
        Request(messages=(user("What is this?", Audio(source=(sound, 16_000))),))
    )
    (embedded,) = nano_itself.need("audio").encode_recordings(prompt.recordings)
    lengths = embedded.norm(dim=-1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 2.5))
