"""A speaker encoder in the ONNX format, written byte by byte: mean |features| times a matrix."""

from pathlib import Path

import numpy as np

FLOAT, INT, INTS = 1, 2, 7  # element and attribute types
OPSET = 13


def write_speaker_encoder(file: Path, seed: int = 0) -> Path:
    """features [1, frames, 80] -> vector [1, 192]."""
    weights = np.random.default_rng(seed).normal(size=(80, 192)).astype("<f4")
    tensor = _number(1, 80) + _number(1, 192) + _number(2, FLOAT)
    tensor += _bytes(8, b"weights") + _bytes(9, weights.tobytes())
    axes = _bytes(1, b"axes") + _number(8, 1) + _number(20, INTS)
    keep = _bytes(1, b"keepdims") + _number(3, 0) + _number(20, INT)
    graph = _bytes(1, _node("Abs", ["features"], "loud"))
    graph += _bytes(1, _node("ReduceMean", ["loud"], "mean", axes, keep))
    graph += _bytes(1, _node("MatMul", ["mean", "weights"], "vector"))
    graph += _bytes(2, b"speaker") + _bytes(5, tensor)
    graph += _bytes(11, _value("features", 1, "frames", 80)) + _bytes(12, _value("vector", 1, 192))
    opset = _bytes(1, b"") + _number(2, OPSET)
    file.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, opset))
    return file


def _node(kind: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    told = b"".join(_bytes(1, name.encode()) for name in inputs) + _bytes(2, output.encode())
    return told + _bytes(4, kind.encode()) + b"".join(_bytes(5, one) for one in attributes)


def _value(name: str, *sizes: int | str) -> bytes:
    dims = [
        _number(1, size) if isinstance(size, int) else _bytes(2, size.encode()) for size in sizes
    ]
    shape = b"".join(_bytes(1, dim) for dim in dims)
    kind = _bytes(1, _number(1, FLOAT) + _bytes(2, shape))
    return _bytes(1, name.encode()) + _bytes(2, kind)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
