"""`mingle speak` and `mingle voices`, from text to a playable file, through the command line."""

import json
import os
import sys

import numpy as np
import pytest
from miniature import write_miniature
from miniature.onnx_file import write_speaker_encoder

import mingle
from mingle.cli import main
from mingle.processing.recording import decode_recording
from mingle.processing.sound_file import encode_sound


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = write_miniature(tmp_path_factory.mktemp("speak") / "model", ("thinker", "talker"))
    write_speaker_encoder(folder / "talker" / "campplus.onnx")
    return folder


def reference(seconds=1.5, level=0.3):
    wave = level * np.sin(np.arange(int(seconds * 16000)) * 0.08)
    return encode_sound(wave.astype(np.float32), 16000, "wav")


def speak(model, *args):
    return main(["speak", *map(str, args), "--model", str(model), "--steps", "1"])


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "opus"])
def test_text_becomes_a_playable_file(model, tmp_path, capsys, ending):
    file = tmp_path / f"out.{ending}"
    assert speak(model, "Hello there.", "-o", file, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    heard = decode_recording(file)
    assert told == {
        "file": str(file),
        "seconds": pytest.approx(heard.seconds, abs=0.15),
        "sample_rate": 48000 if ending == "opus" else 44100,
        "voice": "nobody",
    }
    assert heard.sample_rate_hz == told["sample_rate"]
    assert np.abs(heard.samples).max() > 0.01
    assert list(tmp_path.iterdir()) == [file]


def test_raw_samples_have_the_length_that_is_told(model, tmp_path, capsys):
    file = tmp_path / "out.pcm"
    assert speak(model, "Hello there.", "-o", file, "--rate", "24000", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert file.stat().st_size == round(told["seconds"] * 24000) * 2


def test_python_speaks_the_same(model, tmp_path, capsys):
    file = tmp_path / "out.flac"
    assert speak(model, "Hello there.", "-o", file) == 0
    assistant = mingle.load(str(model))
    options = mingle.engine.speak.SpeakOptions(steps=1)
    spoken = [chunk.samples for chunk in assistant.speak("Hello there.", options=options)]
    np.testing.assert_allclose(decode_recording(file).samples, np.concatenate(spoken), atol=1e-4)


def test_a_stream_is_raw_samples_on_stdout(model, capfdbinary, monkeypatch):
    read, write = os.pipe()
    with open(write, "wb") as pipe:
        pipe.write(b"Hello there. ")
    monkeypatch.setattr(sys, "stdin", open(read, encoding="utf-8"))
    assert speak(model, "-", "--stream", "--rate", "16000") == 0
    samples = np.frombuffer(capfdbinary.readouterr().out, "<i2")
    assert len(samples) / 16000 == pytest.approx(3.84, abs=0.4)  # 12 patches
    assert np.abs(samples).max() > 300


def test_a_cloned_voice_speaks(model, tmp_path, capsys):
    recording, file = tmp_path / "ref.wav", tmp_path / "out.wav"
    recording.write_bytes(reference())
    args = ("Hello there.", "-o", file, "--clone", recording, "--clone-text", "I am.", "--json")
    assert speak(model, *args) == 0
    assert json.loads(capsys.readouterr().out)["voice"] == "clone"
    assert decode_recording(file).seconds > 3


def test_style_sound_music_and_dialogue(model, tmp_path, capsys):
    recording = tmp_path / "ref.wav"
    recording.write_bytes(reference())
    runs = [
        ("Hello there.", "--emotion", "happy", "--speed", "fast"),
        ("rain on a roof", "--sound", "--seconds", "1"),
        ("--music", "folk", "--seconds", "1"),
        ("1: Hello.\n2: Hi.", "--dialogue", "--clone", recording, "--clone", recording,
         "--seconds", "1"),
    ]  # fmt: skip
    for number, run in enumerate(runs):
        file = tmp_path / f"{number}.wav"
        assert speak(model, *run, "-o", file) == 0, capsys.readouterr().err
        assert decode_recording(file).seconds > 1


def test_an_interrupted_chapter_goes_on(model, tmp_path):
    text, file = tmp_path / "chapter.txt", tmp_path / "out.wav"
    text.write_text("This is the first sentence. And this is the second sentence of it.")
    assert speak(model, "-f", text, "-o", file, "--resume") == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["chapter.txt", "out.wav"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["😀"], "nothing to say"),
        ([""], "nothing to say"),
        ([], "say what to speak"),
        (["hi", "-o", "out.xyz"], "expected one of"),
        (["hi", "-o", "no/such/folder/out.wav"], "there is no folder"),
        (["hi", "--voice", "Bob"], "no voice 'Bob'"),
        (["hi", "--clone", "missing.wav"], "no recording missing.wav"),
        (["hi", "--clone-text", "x"], "--clone-text belongs"),
        (["hi", "--speed", "warp"], "expected slow, medium, fast"),
        (["hi", "--rate", "1"], "--rate is 1"),
        (["word " * 210_000], "longer than"),
    ],
)
def test_bad_input_is_one_clear_line(model, tmp_path, monkeypatch, capsys, args, says):
    monkeypatch.chdir(tmp_path)
    assert speak(model, *args) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("recording", "says"),
    [
        (reference(0.5), "at least 1 s"),
        (reference(level=0.0), "is silent"),
        (reference(61), "60 s"),
        (b"no sound at all", "recording"),
    ],
)
def test_a_bad_reference_is_told_and_nothing_is_written(model, tmp_path, capsys, recording, says):
    file = tmp_path / "ref.wav"
    file.write_bytes(recording)
    assert speak(model, "hi", "--clone", file, "-o", tmp_path / "out.wav") == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]


def test_voices_are_listed(model, capsys):
    data = model / "talker" / "data"
    data.mkdir(exist_ok=True)
    (data / "ann.wav").write_bytes(reference())
    told = {"Ann": {"prompt_text": "I am Ann.", "prompt_wav_path": "data/ann.wav"}}
    (data / "voice_name.json").write_text(json.dumps(told))
    assert main(["voices", "--model", str(model), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["can_clone"] is True
    assert [voice["name"] for voice in listed["voices"]] == ["Ann"]
    assert next(mingle.load(str(model)).speak("Hello.")).sample_rate_hz == 44100
    (data / "voice_name.json").unlink()


def test_a_model_without_a_talker_says_so(tmp_path, capsys):
    folder = write_miniature(tmp_path / "model", ("thinker",))
    assert speak(folder, "hi", "-o", tmp_path / "out.wav") == 3
    assert "has no talker" in capsys.readouterr().err
