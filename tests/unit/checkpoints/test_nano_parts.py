"""nano's trained parts: config and tensors beside each other, filled strictly."""

import gzip
from pathlib import Path

import pytest
import torch
from torch import nn

from mingle.checkpoints.load import open_model
from mingle.checkpoints.nano import trained
from mingle.checkpoints.speech_files import SpeechFiles, read_vectors
from mingle.checkpoints.streaming import build_on_meta
from mingle.errors import CheckpointError, ConfigError
from mingle.processing.word_model import count_words, read_words, write_words


def test_what_is_written_in_half_comes_back_in_full(tmp_path: Path):
    module = nn.Linear(3, 2)
    trained.write_tensors(tmp_path, "part", module.state_dict())
    again = trained.fill(
        build_on_meta(lambda: nn.Linear(3, 2)),
        trained.read_tensors(tmp_path, "part"),
        "part.safetensors",
        dtype=None,
        device=torch.device("cpu"),
    )
    assert again.weight.dtype == torch.float32
    torch.testing.assert_close(again.weight, module.weight, rtol=1e-3, atol=1e-4)  # fp16's step
    assert [file.name for file in tmp_path.iterdir()] == ["part.safetensors"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("bias"), "lacks 'bias'"),
        (lambda t: t.update(extra=torch.zeros(1)), "holds 'extra'"),
        (lambda t: t.update(bias=torch.zeros(5)), r"'bias' in .* is \[5\], the config makes it"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(change, says: str):
    tensors = dict(nn.Linear(3, 2).state_dict())
    change(tensors)
    module = build_on_meta(lambda: nn.Linear(3, 2))
    with pytest.raises(CheckpointError, match=says):
        trained.fill(module, tensors, "a file", dtype=None, device=torch.device("cpu"))


def test_a_part_without_its_file_says_so(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"vision\.safetensors"):
        trained.read_tensors(tmp_path, "vision")


def test_ears_without_their_way_of_reading_are_no_ears(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"family": "nano"}')
    (tmp_path / "audio.json").write_text("{}")
    folder = open_model(tmp_path)
    assert "audio" not in folder.parts
    (tmp_path / "hearing.json").write_text("{}")
    assert "audio" in open_model(tmp_path).parts


@pytest.mark.parametrize("damage", ["cut", "bytes", "missing"])
def test_a_damaged_list_of_words_is_one_clear_error(tmp_path: Path, damage: str):
    lists = {"spoken": tmp_path / "words.txt.gz", "heard": tmp_path / "words.npz"}
    spoken = "".join(f"word{number} k ae t\n" for number in range(2000))
    lists["spoken"].write_bytes(gzip.compress(spoken.encode()))
    write_words(count_words([("one two three", 1.0), ("two three four", 1.0)]), lists["heard"])
    for path in lists.values():
        whole = bytearray(path.read_bytes())
        middle = slice(len(whole) // 2, len(whole) // 2 + 60)
        whole[middle] = bytes(byte ^ 0xFF for byte in whole[middle])
        path.write_bytes(whole if damage == "bytes" else whole[:80])
        if damage == "missing":
            path.unlink()
    with pytest.raises(CheckpointError, match=r"words\.txt\.gz cannot be read .*fetch"):
        SpeechFiles(pronunciations=lists["spoken"]).open_words()
    with pytest.raises(CheckpointError, match=r"words\.npz is no whole list of words .*fetch"):
        read_words(lists["heard"])


def test_voices_are_read_with_and_without_a_level(tmp_path: Path):
    file = tmp_path / "voices.json"
    told, untold = '{"vector": [1, 0.5], "level_db": -20}', '{"vector": [1], "level_db": null}'
    file.write_text(f'{{"a": {told}, "b": {untold}}}')
    read = read_vectors(file)
    assert (read["a"].vector, read["a"].level_db) == ((1.0, 0.5), -20.0)
    assert read["b"].level_db is None


@pytest.mark.parametrize(
    ("voice", "says"),
    [
        ("[0.5]", "export the talker again"),
        ('{"vector": ["x"], "level_db": -20}', "expected float"),
        ('{"vector": [0.5]}', "'level_db' is missing"),
        ('{"vector": [NaN], "level_db": -20}', "finite"),
        ('{"vector": [0.5], "level_db": NaN}', "-90 to 0 dB"),
        ('{"vector": [0.5], "level_db": -2000}', "-90 to 0 dB"),
        ('{"vector": [0.5], "level_db": 3}', "-90 to 0 dB"),
    ],
)
def test_what_is_no_voice_is_refused(tmp_path: Path, voice: str, says: str):
    file = tmp_path / "voices.json"
    file.write_text(f'{{"slt": {voice}}}')
    with pytest.raises(ConfigError, match=says):
        read_vectors(file)
