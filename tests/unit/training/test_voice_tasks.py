"""Tasks of the voice on miniatures: sentences are learned, voices told apart, weights exported."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from miniature.speech import TINY_ALIGNED, TINY_SPEECH

from mingle.checkpoints.nano import parts
from mingle.errors import ConfigError
from mingle.training.streams import Batch, Draw
from mingle.training.tasks import talker
from mingle.training.tasks.prompted_talker import PHONES as PROMPT
from mingle.training.tasks.prompted_talker import PromptedTalkerTask
from mingle.training.tasks.speaker import RATE_HZ, Speakers, SpeakerTask
from mingle.training.tasks.talker import Sentence, TalkerData, TalkerTask
from mingle.worlds import pronunciations
from mingle.worlds.corpus import CorpusConfig
from mingle.worlds.voices import VOICES, Phone, Utterance

PHONES = ("pau", "hh", "ax", "l", "ow", "pau")


def spoken(hz):
    time = np.arange(RATE_HZ) / RATE_HZ
    samples = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 20)) * 0.05
    ends = np.linspace(0.15, 1.0, len(PHONES))
    phones = tuple(Phone(name=p, end_s=float(e)) for p, e in zip(PHONES, ends, strict=True))
    return Utterance(
        text="hello", voice=VOICES[0], samples=samples.astype(np.float32), phones=phones
    )


@pytest.fixture
def task():
    torch.manual_seed(0)
    task = TalkerTask(TINY_ALIGNED)
    task.model.vae.fit([torch.from_numpy(spoken(hz).samples) for hz in (90, 140, 200)])
    return task


def test_a_recording_becomes_whole_patches_as_long_as_its_phones(task):
    sentence = task._sentence(spoken(100))
    assert sentence.latents.shape == (13, 2, 6)  # 1 s in patches of 0.08 s
    assert sentence.phones.tolist() == [0, 1, 2, 3, 4, 0]
    assert float(sentence.speaker.norm()) == pytest.approx(1, abs=1e-5)


def test_on_a_gpu_no_other_process_makes_the_talkers_batches(task, monkeypatch):
    corpus = CorpusConfig(folder="", seed=0, split="train", flite_only=True)
    data = TalkerData(corpora=(corpus,), held_out=corpus, shards=1, rows=1, condition_drop=0.0)
    drawn = []
    monkeypatch.setattr(talker, "numbered", lambda make, draw: drawn.append(draw.workers) or ())
    for device in ("cpu", "cuda"):
        monkeypatch.setattr(TalkerTask, "device", torch.device(device))
        assert not list(task.batches(data, Draw(seed=1, workers=3)))
    assert drawn == [3, 0]


def test_the_talker_learns_what_it_is_told(task):
    sentences = [task._sentence(spoken(hz)) for hz in (90, 140, 200)]
    batch = Batch(data=(sentences, 0.1), samples=3, tokens=39)
    adam = torch.optim.AdamW(task.model.talker.parameters(), lr=1e-2)
    seen = []
    for _ in range(25):
        found = task.losses(batch, torch.Generator().manual_seed(0)).losses
        seen.append([float(found["flow"].detach()), float(found["duration"].detach())])
        adam.zero_grad()
        (found["flow"] + found["duration"]).backward()
        adam.step()
    assert seen[-1][0] < 0.85 * seen[0][0]
    assert seen[-1][1] < 0.5 * seen[0][1]


def test_every_weight_of_the_talker_takes_part(task):
    batch = Batch(data=([task._sentence(spoken(120))], 0.0), samples=1, tokens=13)
    sum(task.losses(batch, torch.Generator().manual_seed(0)).losses.values()).backward()
    idle = [name for name, p in task.model.talker.named_parameters() if p.grad is None]
    assert idle == []


def test_phones_that_the_model_lacks_are_named(task):
    strange = spoken(100)
    strange = Utterance(
        text="x", voice=strange.voice, samples=strange.samples, phones=(Phone(name="q", end_s=1.0),)
    )
    with pytest.raises(ConfigError, match=r"lacks \['q'\]"):
        task._sentence(strange)


def test_a_talker_without_aligned_text_is_refused():
    with pytest.raises(ConfigError, match="aligned"):
        TalkerTask(TINY_SPEECH)


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed (make worlds)")
def test_what_is_exported_loads_as_nanos_voice(task, tmp_path, monkeypatch):
    monkeypatch.setattr(pronunciations, "list_words", lambda: ["cat", "don't", "the"])
    task.export(tmp_path)
    raw = {"talker.json": json.loads((tmp_path / "talker.json").read_text())}
    config = parts.TALKER.read_config(raw)
    loaded = parts.TALKER.load(tmp_path, config, None, torch.device("cpu"))
    assert config == TINY_ALIGNED
    assert loaded.vae.fitted
    files = parts.speech_files(tmp_path)
    assert files.open_words().phones("the cat") == "pau dh ax k ae t pau".split()
    names = files.presets
    assert list(names) == ["slt", "rms", "awb", "kal16"]
    assert len(names["slt"].vector) == TINY_ALIGNED.talker.speaker_dim
    assert names["slt"].level_db > names["kal16"].level_db + 6  # flite's own levels


def test_speakers_are_told_apart():
    torch.manual_seed(0)
    task = SpeakerTask(TINY_ALIGNED.speaker)
    waves = torch.stack([torch.from_numpy(spoken(hz).samples) for hz in (90, 200, 90, 200)])
    octaves = torch.tensor([-0.5, 0.6, -0.5, 0.6])
    cuts = Speakers(waves=waves, voices=torch.tensor([0, 1, 0, 1]), octaves=octaves)
    batch = Batch(data=cuts, samples=4, tokens=waves.numel())
    adam = torch.optim.AdamW(task.model.parameters(), lr=1e-2)
    for _ in range(40):
        outcome = task.losses(batch, torch.Generator())
        adam.zero_grad()
        sum(outcome.losses.values()).backward()
        adam.step()
    assert outcome.metrics["named"] == 1.0
    assert float(outcome.losses["pitch"].detach()) < 0.4  # it was 0.55


def test_a_sentence_is_said_with_the_talkers_own_durations(task):
    sentence = task._sentence(spoken(100))
    assert isinstance(sentence, Sentence)
    wave = task.say(sentence)
    assert len(wave) % TINY_ALIGNED.patch_samples == 0


@pytest.fixture
def prompted(task):
    torch.manual_seed(0)
    talker = replace(TINY_ALIGNED.talker, vocab_size=len(PROMPT), aligned=None)
    prompted = PromptedTalkerTask(replace(TINY_ALIGNED, talker=talker))
    prompted.model.vae = task.model.vae  # fitted
    return prompted


def test_a_prompted_talker_finds_its_place_when_it_is_guided(prompted):
    sentences = [prompted._sentence(spoken(hz)) for hz in (90, 140)]
    batch = Batch(data=(sentences, 0.0), samples=2, tokens=26)
    adam = torch.optim.AdamW(prompted.model.talker.parameters(), lr=1e-2)
    seen = []
    for _ in range(60):
        found = prompted.losses(batch, torch.Generator().manual_seed(0)).losses
        seen.append({name: float(loss.detach()) for name, loss in found.items()})
        adam.zero_grad()
        sum(found.values()).backward()
        adam.step()
    assert seen[0].keys() == {"flow", "stop", "guide", "phone"}
    assert all(seen[-1][name] < 0.75 * first for name, first in seen[0].items())
    assert seen[-1]["guide"] < 0.9  # nats; 2.4 if it looked everywhere


def test_a_prompted_talker_speaks_and_stops(prompted):
    sentence = prompted._sentence(spoken(100))
    with torch.no_grad():
        prompted.model.talker.stop_head.weight.zero_()
        for wish, patches in ((9.0, 2), (-9.0, 2 * len(sentence.latents))):  # at once; never
            prompted.model.talker.stop_head.bias.copy_(torch.tensor([0.0, wish]))
            assert len(prompted.say(sentence)) == patches * TINY_ALIGNED.patch_samples


def test_a_prompted_talker_with_aligned_text_is_refused():
    with pytest.raises(ConfigError, match=r"leave out talker\.aligned"):
        PromptedTalkerTask(TINY_ALIGNED)
