"""Voices: cloning from recordings, and recordings that cannot be cloned."""

import numpy as np
import pytest
import torch
from miniature.onnx_file import write_speaker_encoder
from miniature.speech import tiny_speech

from mingle.checkpoints.speech_files import Preset
from mingle.engine.voices import (
    LEVEL_DB,
    VoiceBook,
    open_speaker_encoder,
    prepare_reference,
)
from mingle.errors import CapacityError, CheckpointError, InputError
from mingle.processing.kaldi import filterbank
from mingle.processing.sound_file import encode_sound

RATE = 16000


def speech(seconds, level=0.3):
    time = np.arange(int(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * 200 * time) * (1 + np.sin(9 * time))).astype(np.float32)


@pytest.fixture
def book(tmp_path):
    encoder = open_speaker_encoder(write_speaker_encoder(tmp_path / "speaker.onnx"))
    file = tmp_path / "ann.wav"
    file.write_bytes(encode_sound(speech(2.0), RATE, "wav"))
    presets = {
        "Ann": Preset(recordings=(file,), transcript="I am Ann."),
        "Vector": Preset(vector=(0.5,) * 192),
    }
    return VoiceBook(tiny_speech(), encoder, presets)


def test_a_preset_that_tells_its_level_is_brought_to_the_common_one(book):
    assert book.find("Vector").volume == 1
    book.presets["Loud"] = Preset(vector=(0.5,) * 192, level_db=LEVEL_DB + 20)
    assert book.find("Loud").volume == pytest.approx(0.1)


def test_a_vector_of_another_talker_is_refused(book):
    book.presets["Short"] = Preset(vector=(0.5,) * 3)
    with pytest.raises(CheckpointError, match="has 3 numbers, this talker reads 192"):
        book.find("Short")


def test_a_clone_has_a_vector_and_whole_patches(book):
    voice = book.clone([(speech(2.0), RATE)], transcript="Hello.")
    assert voice.speakers.shape == (1, 192)
    # 2 s at 8 kHz, a patch is 640 samples, padded on the left to whole ones
    assert voice.latents.shape == (25 * 4, 6)
    assert voice.transcript == "Hello."


def test_the_vector_is_the_encoders_of_mean_free_features(tmp_path):
    file = write_speaker_encoder(tmp_path / "speaker.onnx", seed=3)
    weights = np.random.default_rng(3).normal(size=(80, 192)).astype(np.float32)
    features = filterbank(speech(1.5))
    features -= features.mean(axis=0)
    expected = np.abs(features).mean(axis=0) @ weights
    found = open_speaker_encoder(file)(speech(1.5))
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-4)


def test_several_recordings_make_one_speaker(book):
    one, two = (speech(1.5), RATE), (speech(1.5, 0.1), RATE)
    both = book.clone([one, two])
    alone = [book.clone([each]).speakers for each in (one, two)]
    torch.testing.assert_close(both.speakers, sum(alone) / 2)


def test_stereo_is_mixed_and_silence_around_is_trimmed():
    silence = np.zeros(RATE, np.float32)
    mono = np.concatenate((silence, speech(1.5), silence))
    stereo = np.stack((mono, 0.5 * mono), axis=1)
    heard = prepare_reference((stereo, RATE))
    assert heard.samples.ndim == 1
    assert heard.seconds == pytest.approx(1.5 + 0.2, abs=0.05)


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (speech(0.5), "at least 1 s"),
        (np.zeros(2 * RATE, np.float32), "is silent"),
        (speech(2.0, 0.001), "is silent"),
        (np.clip(speech(2.0, 3.0), -1, 1), "is clipped"),
        (speech(61.0), "60 s"),
        (np.concatenate((speech(0.3), np.zeros(2 * RATE, np.float32))), "sound between silences"),
    ],
)
def test_recordings_that_cannot_be_cloned_are_refused(book, samples, says):
    with pytest.raises(InputError, match=says):
        book.clone([(samples, RATE)])


def test_what_is_no_sound_is_refused(book):
    with pytest.raises(InputError):
        book.clone([b"this is not a recording"])
    with pytest.raises(InputError, match="at least one"):
        book.clone([])


def test_presets_are_found_by_name_and_cloned_once(book):
    ann = book.find("Ann")
    assert ann.transcript == "I am Ann."
    assert book.find("Ann") is ann
    assert book.find("Vector").speakers.shape == (1, 192)
    with pytest.raises(InputError, match="no voice 'Bob'; known: Ann, Vector"):
        book.find("Bob")


def test_without_an_encoder_nothing_is_cloned():
    with pytest.raises(CapacityError, match="no speaker encoder"):
        VoiceBook(tiny_speech(), None, {}).clone([(speech(2.0), RATE)])


def test_a_broken_encoder_is_told(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match=r"bad\.onnx is not a readable ONNX model"):
        open_speaker_encoder(tmp_path / "bad.onnx")
