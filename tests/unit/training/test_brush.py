"""The painter's task in miniature: what learns, what does not, and that something is learned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature.brush import TINY_PAINTER

from mingle.errors import ConfigError
from mingle.nn.detector import DetectorConfig
from mingle.training.streams import Batch
from mingle.training.tasks.brush import BrushConfig, BrushTask, _some_of, overlap
from mingle.training.tasks.brush_lessons import LOOKS, LessonData, Lessons, _kept, _neighbours
from mingle.worlds import sprites
from mingle.worlds.lessons import Kind, draw_plan, sample_plan
from mingle.worlds.places import IGNORED

CONFIG = BrushConfig(
    painter=TINY_PAINTER,
    thinker="nano",
    detector=DetectorConfig(num_kinds=25, num_colours=9, dim=8, dilations=(1,)),
    hint_layer=0,
)
DATA = LessonData(
    side=32,
    batch=2,
    shares={"single": 1.0},
    shards={"single": 1},
    cache=Path("unused"),
    condition_drop=0.0,
    time_mean=0.0,
    time_spread=1.0,
    draws=1,
    paints=True,
    settled=False,
)


KEPT = torch.zeros(2, 4, 4, dtype=torch.bool)
KEPT[:, :, 2:] = True  # of each picture, the right half


def a_batch(*, edited: bool = False, word: str = "") -> Batch:
    draw = torch.Generator().manual_seed(2)
    told = torch.randn(8, 12, generator=draw)
    pixels = torch.rand(2, 3, 32, 32, generator=draw) * 2 - 1
    before = torch.rand(2, 3, 32, 32, generator=draw) * 2 - 1
    seen = torch.randn(2, 4, 12, generator=draw)
    lessons = Lessons(
        pixels=pixels, before=before if edited else None, seen=seen if edited else None,
        kept=KEPT if edited else None, told=told, lengths=[3, 5], glyphs=[word, ""],
        places=torch.stack([draw_places(draw, size) for size in LOOKS], dim=1),
    )  # fmt: skip
    return Batch(data=(lessons, DATA), samples=2, tokens=8)


def draw_places(draw: torch.Generator, size: int) -> torch.Tensor:
    return torch.randint(size, (2, 4), generator=draw)


@pytest.fixture
def task():
    torch.manual_seed(0)
    task = BrushTask(CONFIG)
    for name, parameter in task.model.named_parameters():
        parameter.requires_grad_("autoencoder" not in name and "detector" not in name)
    return task


def step(task, batch: Batch, seed: int = 0):
    found = task.losses(batch, torch.Generator().manual_seed(seed)).losses
    return found["flow"] + 0.5 * (found["hint"] + found["layout"] + found["keep"])


@pytest.mark.parametrize(("edited", "draws"), [(False, 1), (True, 1), (True, 3)])
def test_a_picture_is_learned(task, edited: bool, draws: int):
    batch = a_batch(edited=edited)
    batch = replace(batch, data=(batch.data[0], replace(DATA, draws=draws)))
    adam = torch.optim.AdamW([p for p in task.model.parameters() if p.requires_grad], lr=1e-2)
    seen = []
    for _ in range(40):
        loss = step(task, batch)
        seen.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert seen[-1] < 0.6 * seen[0]


def test_gradients_reach_what_learns_and_nothing_that_is_frozen(task):
    batch = a_batch(word='Text "HI". ')
    adam = torch.optim.AdamW([p for p in task.model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):  # the last layer begins at zero: what is before it learns from step 2 on
        adam.zero_grad()
        step(task, batch).backward()
        adam.step()
    touched = {
        name for name, p in task.model.named_parameters() if p.grad is not None and p.grad.any()
    }
    parts = ("connector.proj_in", "glyphs.encoder", "transformer.layers.0", "transformer.all_x")
    for part in (*(f"painter.{part}" for part in parts), "hint.0"):
        assert any(name.startswith(part) for name in touched), part
    assert not any("autoencoder" in name or "detector" in name for name in touched)


def test_words_and_eyes_say_what_stands_where(task):
    for edited in (False, True):
        task.model.zero_grad()
        layout = task.losses(a_batch(edited=edited), torch.Generator()).losses["layout"]
        assert layout.item() > 1.0
        layout.backward()
        connector = task.model.painter.connector
        assert connector.places[0].grad.any()
        assert (connector.seen[1].weight.grad is not None) == edited
        assert task.model.painter.transformer.guide.weight.grad is None


def test_what_no_label_says_is_not_counted(task):
    batch = a_batch()
    lessons, data = batch.data
    places = torch.full_like(lessons.places, IGNORED)
    lessons = replace(lessons, places=places)
    found = task.losses(replace(batch, data=(lessons, data)), torch.Generator()).losses
    assert found["layout"].item() == 0.0


def test_without_painting_only_words_are_learned(task):
    batch = a_batch()
    lessons, data = batch.data
    found = task.losses(
        replace(batch, data=(lessons, replace(data, paints=False))), torch.Generator()
    )
    assert found.losses.keys() == {"layout", "keep"}


def test_what_an_edit_keeps_is_learned_from_words_and_eyes(task):
    assert task.losses(a_batch(), torch.Generator()).losses["keep"] == 0
    batch = a_batch(edited=True)
    lessons, data = batch.data
    batch = replace(batch, data=(lessons, replace(data, paints=False)))
    adam = torch.optim.AdamW(task.model.painter.parameters(), lr=1e-2)
    for _ in range(60):
        adam.zero_grad()
        task.losses(batch, torch.Generator()).losses["keep"].backward()
        adam.step()
    with torch.no_grad():
        painter = task.model.painter.eval()
        kept = painter.kept(painter.condition(lessons.rows, lessons.glyphs, list(lessons.seen)))
    assert torch.equal(kept, KEPT)


def test_less_is_kept_than_may_be_never_more():
    some = torch.stack([_some_of(KEPT, torch.Generator().manual_seed(i)) for i in range(200)])
    assert not (some & ~KEPT).any()
    assert set(some.sum((2, 3)).flatten().tolist()) == {8, 4, 0}  # all, all but a rim, nothing


def test_latents_near_a_change_do_not_stay():
    before = np.zeros((1, 32, 32, 3), np.uint8)
    after = before.copy()
    after[0, 8:11, 20] = 9  # 4 pixels from the squares to the right, 1 from those above
    changed = ~_kept(before, after, 8)[0]
    assert changed.nonzero().tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


def test_the_shortest_and_the_longest_texts_are_learned_from():
    rng = np.random.default_rng(0)
    lengths = rng.permutation(64).astype(np.float64)
    drawn = [lengths[_neighbours(rng, lengths, 16)] for _ in range(400)]
    assert all(len(one) == 16 and np.ptp(one) == 15 for one in drawn)
    met = np.bincount(np.concatenate(drawn).astype(int), minlength=64)
    assert met.min() > 400 / 64 * 16 / 4  # a quarter of their share at least


def test_a_batch_larger_than_a_shard_is_refused():
    with pytest.raises(ConfigError, match=r"data\.batch is 257; expected 256 or fewer"):
        replace(DATA, batch=257)


@pytest.mark.parametrize("name", ["batch", "draws"])
def test_batches_of_nothing_are_refused(name: str):
    with pytest.raises(ConfigError, match=f"data.{name} is 0; expected 1 or more"):
        replace(DATA, **{name: 0})


def test_the_condition_matters_only_where_it_is_kept(task):
    batch = a_batch()
    lessons, data = batch.data
    other = replace(lessons, told=-lessons.told)
    with torch.no_grad():
        for parameter in task.model.painter.transformer.parameters():
            parameter.normal_(std=0.2)
    dropped = replace(data, condition_drop=1.0)

    def flow(lessons: Lessons, data: LessonData) -> float:
        found = task.losses(replace(batch, data=(lessons, data)), torch.Generator().manual_seed(0))
        return float(found.losses["flow"].detach())

    kept = [flow(lessons, data), flow(other, data)]
    without = [flow(lessons, dropped), flow(other, dropped)]
    assert abs(kept[0] - kept[1]) > 1e-5
    assert without[0] == without[1]


def test_what_is_exported_is_read_again_as_a_part_of_nano(task, tmp_path):
    from mingle import typed
    from mingle.checkpoints.load import read_json
    from mingle.checkpoints.nano.parts import PAINTER
    from mingle.painter.config import PainterConfig

    task.export(tmp_path)
    config = typed.read(PainterConfig, read_json(tmp_path / "painter.json"), "painter.json")
    assert config == CONFIG.painter
    painter = PAINTER.load(tmp_path, config, None, torch.device("cpu"))
    for name, tensor in task.model.painter.state_dict().items():
        torch.testing.assert_close(painter.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["segment", "mask"])
def test_masks_are_read_from_what_is_painted(kind: Kind):
    if not sprites.FONT.exists():
        pytest.skip("no emoji font (make worlds)")
    rng = np.random.default_rng(0)
    drawn = [draw_plan(rng, sample_plan(rng, kind, split="train"), 64) for _ in range(6)]
    painted, before = (
        np.stack(p) for p in zip(*((x.pixels, x.before) for x in drawn), strict=True)
    )
    assert overlap(drawn, painted, before) > 0.9
    assert overlap(drawn, before if kind == "segment" else 255 - painted, before) < 0.2
