"""The GGUF reader: written by hand here, block by block, read back."""

import struct
from pathlib import Path

import numpy as np
import pytest
from gguf_files import gguf_bytes, plain

from mingle.checkpoints.gguf import GgufFile
from mingle.errors import CheckpointError


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    metadata = {"model.layers": 7, "model.eps": 0.5, "words": ["one", "zwei\u00e9"]}
    q4_1 = struct.pack("<ee", 0.5, -2.0) + bytes(range(16))  # low nibbles 0..15, high ones 0
    q8_0 = struct.pack("<e", 0.25) + np.arange(-16, 16, dtype=np.int8).tobytes()
    tensors = [
        plain("plain", np.arange(6).reshape(2, 3)),
        ("half", (3,), 1, np.array([1, -2, 0.5], "<f2").tobytes()),
        ("four", (1, 32), 3, q4_1),
        ("eight", (1, 32), 8, q8_0),
    ]
    path = tmp_path / "sample.gguf"
    path.write_bytes(gguf_bytes(metadata, tensors))
    return path


def test_metadata_reads_numbers_texts_and_lists(sample: Path):
    assert GgufFile(sample).metadata == {
        "model.layers": 7,
        "model.eps": 0.5,
        "words": ["one", "zwei\u00e9"],
    }


def test_each_kind_dequantises_to_its_formula(sample: Path):
    file = GgufFile(sample)
    assert np.array_equal(file.read("plain"), [[0, 1, 2], [3, 4, 5]])
    assert np.array_equal(file.read("half"), [1, -2, 0.5])
    low_then_high = [*(0.5 * np.arange(16) - 2), *np.full(16, -2.0)]
    assert np.array_equal(file.read("four"), [low_then_high])
    assert np.array_equal(file.read("eight"), [0.25 * np.arange(-16, 16)])


@pytest.mark.parametrize("kept", [0, 3, 20, 100, 250, -1])
def test_a_cut_off_file_is_refused(sample: Path, kept: int):
    sample.write_bytes(sample.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"cut off|cannot read"):
        GgufFile(sample)


def test_another_format_is_refused(tmp_path: Path):
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"PK\3\4" + b"\0" * 64)
    with pytest.raises(CheckpointError, match="expected GGUF"):
        GgufFile(path)


def test_an_unknown_storage_type_is_named(tmp_path: Path):
    path = tmp_path / "k.gguf"
    path.write_bytes(gguf_bytes({}, [("blk.0.attn_q.weight", (32,), 12, b"\0" * 64)]))
    with pytest.raises(CheckpointError, match=r"'blk.0.attn_q.weight' is stored as GGML type 12"):
        GgufFile(path)


def test_an_unknown_tensor_is_named(sample: Path):
    with pytest.raises(CheckpointError, match=r"no tensor 'output.weight'"):
        GgufFile(sample).read("output.weight")
