"""Tasks that teach seeing: labels are learned, and reading behind cached words changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature.ten_samples import write_start
from miniature.tiny import TINY_VISION

from mingle.nn.attention import Packed
from mingle.training.streams import Batch, Draw
from mingle.training.tasks.eyes import EyesData, EyesModel, EyesTask, sample_batch
from mingle.training.tasks.senses import SensesData, SensesModel, SensesTask
from mingle.worlds import sprites

pytestmark = pytest.mark.skipif(
    not sprites.FONT.exists(), reason="the emoji font is not installed (make worlds)"
)
VISION = replace(TINY_VISION, patch_side=8, position_rows=8, out_dim=48, out_length=2.0)


def test_labels_of_the_world_are_learned():
    torch.manual_seed(0)
    task = EyesTask(EyesModel(vision=VISION, words=False))
    seen = sample_batch(np.random.default_rng(0), 4, "train", films=0.5, tinted=0.5)
    batch = Batch(data=seen, samples=4, tokens=len(seen.patches))
    adam = torch.optim.AdamW(task.model.parameters(), lr=1e-2)
    totals = []
    for _ in range(30):
        total = torch.stack(list(task.losses(batch, torch.Generator()).losses.values())).sum()
        totals.append(float(total.detach()))
        adam.zero_grad()
        total.backward()
        adam.step()
    assert totals[-1] < 0.6 * totals[0]
    embedded = task.model(seen.patches)["embedded"]
    torch.testing.assert_close(embedded.norm(dim=-1), torch.full((len(embedded),), 2.0))


def test_batches_of_labelled_pictures_are_those_of_their_seed_and_place():
    task = EyesTask(EyesModel(vision=VISION, words=False))
    data = EyesData(batch=2, films=0.5, tinted=0.5)
    stream = task.batches(data, Draw(seed=3))
    first, second = next(stream), next(stream)
    again = next(task.batches(data, Draw(seed=3, position=first.position)))
    assert torch.equal(second.data.patches, again.data.patches)
    assert not torch.equal(first.data.patches, second.data.patches)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> SensesTask:
    start = write_start(tmp_path_factory.mktemp("start") / "model")
    return SensesTask(SensesModel(start=str(start), parts=("thinker", "vision")))


def test_words_read_once_give_the_scores_of_the_whole_prompt(task: SensesTask):
    rng = np.random.default_rng(0)
    lessons = [task.lesson(rng, name, "train") for name in ("pictures", "films", "several")]
    with torch.no_grad():
        together, targets, _, _ = task._answer(lessons)
        alone, wanted = [], []
        for lesson in lessons:
            prompt = lesson.prompt
            embedded = task.model.omni.embed(prompt)
            hidden, _ = task.thinker(
                embedded.hidden, embedded.positions, embedded.modality, Packed([len(prompt.ids)])
            )
            for start, end in lesson.answers:
                alone.append(task.thinker.logits(hidden[start - 1 : end - 1]))
                wanted.append(torch.from_numpy(prompt.ids[start:end]))
    assert torch.equal(targets, torch.cat(wanted))
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-4)  # fp32


def test_an_answer_is_trained_up_to_the_token_that_ends_it(task: SensesTask):
    lesson = task.lesson(np.random.default_rng(1), "several", "train")
    assert len(lesson.answers) == 3
    for _, end in lesson.answers:
        assert lesson.prompt.ids[end - 1] in task.processor.stop_ids


def test_only_what_media_use_gets_a_gradient(task: SensesTask):
    data = SensesData(sources={"pictures": 1.0}, batch=2, held_out=2)
    batch = next(task.batches(data, Draw(seed=1)))
    outcome = task.losses(batch, torch.Generator())
    outcome.losses["answer"].backward()
    assert task.model.omni.vision.patch_embedding.weight.grad.abs().max() > 0
    assert batch.counts["answer"] >= 4  # two answers, each with its end


def test_held_out_answers_are_counted_by_kind(task: SensesTask, tmp_path: Path):
    data = SensesData(sources={"pictures": 1.0, "paint": 1.0}, batch=4, held_out=4)
    figures = task.evaluate(data, tmp_path)
    assert {"pictures", "paint", "paint/what", "paint/paint"} <= set(figures)
    assert all(0 <= value <= 1 for value in figures.values())
