"""The omni task: every lesson learns, what is packed equals what is alone, export comes back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from miniature.ten_samples import PARTS, write_samples, write_start

from mingle import typed
from mingle.checkpoints.load import open_model
from mingle.cli import main
from mingle.errors import InputError
from mingle.training import loop
from mingle.training.manifests import Manifest, Source
from mingle.training.packing import Pack
from mingle.training.recipe import Recipe
from mingle.training.run_folder import read_log
from mingle.training.streams import Batch, Draw
from mingle.training.tasks.omni import OmniTask
from mingle.training.tasks.omni_data import OmniData, OmniStart, counts

LESSONS = ("text", "paint", "speak", "stop", "image_vae", "audio_vae")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("omni")
    write_start(folder / "start")
    write_samples(folder / "data")
    return folder


@pytest.fixture(scope="module")
def task(folder) -> OmniTask:
    task = OmniTask(OmniStart(start=str(folder / "start"), parts=PARTS))
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():  # its last layer begins at zero, which would hide all before it
        for parameter in task.painter.transformer.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    return task


def data(folder: Path, *tasks: str, lessons=LESSONS) -> OmniData:
    sources = [Source(manifest=folder / "data" / f"{t}.jsonl", weight=1.0) for t in tasks]
    return OmniData(
        sources=tuple(sources),
        lessons=lessons,
        budget=700,
        window=4,
        draws=1,
        time_shift=1.0,
        crop_latents=4,
        condition_drop=0.0,
        history_drop=0.0,
        max_bad=0.0,
    )


def examples(task: OmniTask, folder: Path, name: str, count: int):
    manifest = Manifest(Source(manifest=folder / "data" / f"{name}.jsonl", weight=1.0))
    prepare = task.preparer()
    return [prepare(manifest.read(number)) for number in range(count)]


def batch(samples, settings: OmniData) -> Batch:
    packed = Pack(samples=tuple(samples), tokens=sum(s.tokens for s in samples), position={})
    return Batch(
        data=(packed.samples, settings),
        samples=len(samples),
        tokens=packed.tokens,
        counts=counts(samples, settings.lessons),
    )


def losses(task: OmniTask, samples, settings: OmniData) -> dict[str, torch.Tensor]:
    return dict(task.losses(batch(samples, settings), torch.Generator().manual_seed(0)).losses)


def test_packed_loss_equals_unpacked_loss(task, folder):
    samples = examples(task, folder, "text", 3) + examples(task, folder, "picture_question", 2)
    settings = data(folder, "text", lessons=("text",))
    with torch.no_grad():
        together = float(losses(task, samples, settings)["text"])
        alone = [
            (float(losses(task, [one], settings)["text"]), counts([one], ["text"])["text"])
            for one in samples
        ]
    apart = sum(loss * count for loss, count in alone) / sum(count for _, count in alone)
    assert together == pytest.approx(apart, abs=1e-5)


def test_pictures_in_one_batch_count_as_alone(task, folder):
    samples = examples(task, folder, "paint", 2) + examples(task, folder, "edit", 2)
    settings = data(folder, "paint", lessons=("image_vae",))
    with torch.no_grad():
        together = losses(task, samples, settings)["image_vae"]
        alone = [losses(task, [one], settings)["image_vae"] for one in samples]
    pictures = torch.tensor([1.0, 1.0, 2.0, 2.0])  # an edit has two
    assert torch.allclose(together, (torch.stack(alone) * pictures).sum() / 6, atol=1e-6)


def test_velocity_does_not_depend_on_who_shares_the_batch(task):
    painter, draw = task.painter, torch.Generator().manual_seed(0)
    latents, time = torch.randn(2, 16, 4, 4, generator=draw), torch.tensor([0.2, 0.7])
    width = painter.config.condition.token_dim
    conditions = [torch.randn(length, width, generator=draw) for length in (5, 40)]
    with torch.no_grad():
        together = painter.velocity(latents, time, conditions)
        for i in range(2):
            alone = painter.velocity(latents[i : i + 1], time[i : i + 1], conditions[i : i + 1])
            assert torch.allclose(together[i], alone[0], atol=1e-4)


def test_speech_in_one_batch_is_heard_as_alone(task, folder):
    waves = [e.utterance.wave for e in examples(task, folder, "synthesis", 2)]
    waves[1] = waves[1][: len(waves[1]) // 3]
    with torch.no_grad():
        for wave, posterior in zip(waves, task._encoded(waves), strict=True):
            assert torch.allclose(
                posterior.mean, task.speech.vae.encode(torch.from_numpy(wave)).mean, atol=1e-5
            )


@pytest.mark.parametrize(("drop", "heard"), [(0.0, True), (1.0, False)])
def test_without_its_history_speech_is_learnt_from_the_text_alone(task, folder, drop, heard):
    samples = examples(task, folder, "synthesis", 2)
    settings = replace(data(folder, "synthesis", lessons=("speak",)), history_drop=drop)
    task.omni.zero_grad(set_to_none=True)
    losses(task, samples, settings)["speak"].backward()
    talker = task.speech.talker
    assert talker.token_embedding.weight.grad.abs().max() > 0
    assert bool(talker.patch_encoder.out.weight.grad.abs().max() > 0) == heard


def test_only_the_answer_and_its_end_are_learnt(task, folder):
    example = examples(task, folder, "text", 1)[0]
    (start, end), *rest = example.answers
    processor = task.preparer().processor
    assert not rest
    assert processor.tokenizer.decode(example.prompt.ids[start:end].tolist()) == "blue"
    assert example.prompt.ids[end - 1] in processor.stop_ids


@pytest.mark.parametrize(
    ("name", "lesson"),
    [
        ("text", "text"),
        ("film_question", "text"),
        ("recognition", "text"),
        ("edit", "paint"),
        ("synthesis", "speak"),
        ("synthesis", "stop"),
        ("paint", "image_vae"),
        ("synthesis", "audio_vae"),
    ],
)
def test_gradient_of_each_lesson_equals_finite_differences(task, folder, name, lesson):
    samples = examples(task, folder, name, 1)
    settings = data(folder, name, lessons=(lesson,))
    task.omni.zero_grad(set_to_none=True)
    losses(task, samples, settings)[lesson].backward()
    torch.manual_seed(1)
    learnt = [p for p in task.omni.parameters() if p.grad is not None and p.grad.abs().max() > 0]
    assert learnt
    norm = torch.stack([p.grad.square().sum() for p in learnt]).sum().sqrt()
    step = [p.grad / norm for p in learnt]  # the steepest way: its slope is the gradient's norm
    size = 2e-3
    values = []
    with torch.no_grad():
        for sign in (1, -2):
            for parameter, way in zip(learnt, step, strict=True):
                parameter.add_(way, alpha=sign * size)
            values.append(float(losses(task, samples, settings)[lesson]))
        for parameter, way in zip(learnt, step, strict=True):
            parameter.add_(way, alpha=size)
    slope = (values[0] - values[1]) / (2 * size)
    assert slope == pytest.approx(float(norm), rel=0.05)


def test_stream_goes_on_as_if_never_stopped(task, folder):
    settings = data(folder, "text", "paint", "synthesis", lessons=("text", "paint", "speak"))
    stream = task.batches(settings, Draw(seed=3))
    seen = [next(stream) for _ in range(5)]
    position = json.loads(json.dumps(seen[1].position))
    resumed = task.batches(settings, Draw(seed=3, position=position))
    assert [next(resumed).names for _ in range(3)] == [one.names for one in seen[2:]]


def test_kept_examples_are_the_same_examples_read_once(task, folder):
    settings = data(folder, "text", "picture_question", lessons=("text",))
    draw = Draw(seed=3)
    fresh, kept = task.batches(settings, draw), task.batches(replace(settings, keep=20), draw)
    seen: dict[str, set[int]] = {}
    alive = []
    for _ in range(8):
        one, other = next(fresh), next(kept)
        assert one.names == other.names
        for example in other.data[0]:
            seen.setdefault(example.name, set()).add(id(example))
            alive.append(example)
    assert len(alive) > len(seen)  # some came again
    assert all(len(copies) == 1 for copies in seen.values())


def test_a_frozen_ear_hears_a_recording_once_and_a_learning_one_each_time(task, folder):
    samples = examples(task, folder, "synthesis", 2)
    spoken = [example.utterance for example in samples]
    encoder = task.audio_vae.encoder
    encoder.requires_grad_(False)
    try:
        first = task._spoken_latents(spoken)
        again = task._spoken_latents(spoken[::-1])[::-1]
        assert all(one is other for one, other in zip(first, again, strict=True))
    finally:
        encoder.requires_grad_(True)
    anew = task._spoken_latents(spoken)
    encoder.requires_grad_(False)
    with torch.no_grad():
        weight = next(encoder.parameters())
        before = weight.clone()
        weight.mul_(1.5)  # what it learned before it was frozen again
    try:
        later = task._spoken_latents(spoken)
    finally:
        weight.data.copy_(before)
        encoder.requires_grad_(True)
    assert not any(torch.equal(one, other) for one, other in zip(anew, later, strict=True))
    assert all(one is not other for one, other in zip(first, anew, strict=True))
    assert all(torch.allclose(one, other) for one, other in zip(first, anew, strict=True))


def test_missing_medium_goes_to_quarantine_by_name(task, folder, tmp_path):
    path = tmp_path / "bad.jsonl"
    good = (folder / "data/text.jsonl").read_text()
    gone = {"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "no"}
    path.write_text(good + json.dumps({"messages": gone, "images": ["gone.png"]}) + "\n")
    settings = replace(
        data(folder, "text"),
        sources=(Source(manifest=path, weight=1.0),),
        quarantine=tmp_path / "quarantine.jsonl",
        max_bad=0.5,
    )
    stream = task.batches(settings, Draw(seed=0))
    for _ in range(6):
        next(stream)
    assert "gone.png is missing" in (tmp_path / "quarantine.jsonl").read_text()


def test_speech_from_a_picture_is_refused(task, folder):
    speech = task.preparer()
    record = Manifest(Source(manifest=folder / "data/synthesis.jsonl", weight=1.0)).read(0)
    picture = Manifest(Source(manifest=folder / "data/edit.jsonl", weight=1.0)).read(0)
    mixed = replace(record, messages=(picture.messages[0], record.messages[1]))
    with pytest.raises(InputError, match="speech is made from text alone"):
        speech(mixed)


def test_one_recipe_trains_exports_and_reports_through_the_command(folder, tmp_path, capsys):
    source = {"manifest": str(folder / "data/text.jsonl"), "weight": 1.0}
    raw = {
        "task": "omni",
        "seed": 0,
        "model": {"start": str(folder / "start"), "parts": ["thinker"]},
        "stages": [
            {
                "name": "main",
                "steps": 6,
                "train": ["*.parametrizations.*.0.*"],
                "data": {**typed.plain(data(folder)), "sources": [source], "lessons": ["text"]},
                "losses": {"text": 1.0},
                "optimizer": {
                    "lr": 0.02,
                    "betas": [0.9, 0.95],
                    "eps": 1e-8,
                    "weight_decay": 0.0,
                    "clip_norm": 1.0,
                },
                "schedule": {
                    "warmup_steps": 0,
                    "decay_steps": 0,
                    "decay": "linear",
                    "final_factor": 1.0,
                },
            }
        ],
        "lora": {"match": ["thinker.layers.*.attention.*.weight"], "rank": 2, "alpha": 4.0},
        "log_every": 1,
    }
    raw["lora"]["match"] = ["thinker.layers.*.attention.qkv.weight"]
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(raw))
    run, model, adapter = (str(tmp_path / name) for name in ("run", "model", "adapter"))
    assert main(["train", str(recipe), "--run", run, "--json"]) == 0
    log = read_log(Path(run))
    assert log[-1]["loss"] < log[0]["loss"]
    assert main(["train", run, "--export", model]) == 0
    before, after = (open_model(x).load(("thinker",)).thinker for x in (folder / "start", model))
    changed = {
        name
        for name, tensor in after.state_dict().items()
        if not torch.equal(tensor, before.state_dict()[name])
    }
    assert changed == {f"layers.{i}.attention.qkv.weight" for i in range(3)}
    assert main(["train", run, "--adapter", adapter]) == 0
    assert "adapter_config.json" in {path.name for path in Path(adapter).iterdir()}
    assert main(["train", run, "--report"]) == 0
    assert (Path(run) / "report.png").read_bytes()[:4] == b"\x89PNG"
    capsys.readouterr()


def test_a_lesson_without_its_part_is_refused(folder, tmp_path):
    raw = typed.plain(
        Recipe(
            task="omni",
            seed=0,
            model={"start": str(folder / "start"), "parts": ["thinker", "vision"]},
            stages=(),
        )
    )
    task = loop.build(typed.read(Recipe, raw, ""))
    record = Manifest(Source(manifest=folder / "data/paint.jsonl", weight=1.0)).read(0)
    with pytest.raises(InputError, match="this model has no painter"):
        task.preparer()(record)
