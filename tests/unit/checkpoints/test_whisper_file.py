"""The CTranslate2 reader, on files written here byte by byte."""

import struct
from pathlib import Path

import numpy as np
import pytest

from mingle.checkpoints.nano import whisper
from mingle.errors import CheckpointError

DIM, MELS = 4, 3


def text(value: str) -> bytes:
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def written(variables: dict[str, np.ndarray], version: int = 6) -> bytes:
    data = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, values in variables.items():
        raw = values.astype("<f2").tobytes()
        data += text(name) + struct.pack("<B", values.ndim)
        data += struct.pack(f"<{values.ndim}I", *values.shape)
        data += struct.pack("<BI", 4, len(raw)) + raw
    return data


def one_layer() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {f"encoder/{name}": (DIM,) for name in whisper.TOP}
    shapes |= {f"encoder/layer_0/{name}": (DIM,) for name in whisper.LAYER}
    joined = f"encoder/layer_0/{whisper.JOINED}"
    shapes |= {f"{joined}/weight": (3 * DIM, DIM), f"{joined}/bias": (3 * DIM,)}
    found = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    found[f"{joined}/bias"][DIM : 2 * DIM] = 0  # Whisper's keys have no bias
    return found


def test_the_encoder_is_read_under_our_names(tmp_path: Path):
    theirs = one_layer()
    (tmp_path / "model.bin").write_bytes(written(theirs))
    ours = whisper.read_encoder(tmp_path / "model.bin")
    assert len(ours) == len(whisper.TOP) + len(whisper.LAYER) + 5
    joined = theirs["encoder/layer_0/self_attention/linear_0/weight"].astype(np.float16)
    for place, name in enumerate(("query", "key", "value")):
        expected = joined[place * DIM : (place + 1) * DIM]
        assert (ours[f"layers.0.{name}.weight"].numpy() == expected).all()
    assert "layers.0.key.bias" not in ours


def test_keys_with_a_bias_are_no_whisper(tmp_path: Path):
    theirs = one_layer()
    theirs["encoder/layer_0/self_attention/linear_0/bias"] += 1
    (tmp_path / "model.bin").write_bytes(written(theirs))
    with pytest.raises(CheckpointError, match="keys have a bias"):
        whisper.read_encoder(tmp_path / "model.bin")


@pytest.mark.parametrize("damage", ["cut", "version", "missing"])
def test_a_damaged_file_is_told_in_one_line(tmp_path: Path, damage: str):
    theirs = one_layer()
    if damage == "missing":
        del theirs["encoder/conv1/weight"]
    data = written(theirs, version=5 if damage == "version" else 6)
    (tmp_path / "model.bin").write_bytes(data[:-7] if damage == "cut" else data)
    with pytest.raises(CheckpointError) as told:
        whisper.read_encoder(tmp_path / "model.bin")
    assert "\n" not in str(told.value)
