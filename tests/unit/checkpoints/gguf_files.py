"""Writes small GGUF files, for tests."""

import struct
from collections.abc import Mapping, Sequence

import numpy as np

UINT32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9


def gguf_bytes(
    metadata: Mapping[str, object], tensors: Sequence[tuple[str, tuple[int, ...], int, bytes]]
) -> bytes:
    """A GGUF of version 3; `tensors` are (name, row-major shape, storage type, data)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(_text(key) + _value(value) for key, value in metadata.items())
    data = b""
    for name, shape, kind, raw in tensors:
        data += b"\0" * (-len(data) % 32)
        head += _text(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *shape[::-1]) + struct.pack("<IQ", kind, len(data))
        data += raw
    return head + b"\0" * (-len(head) % 32) + data


def plain(name: str, values: np.ndarray) -> tuple[str, tuple[int, ...], int, bytes]:
    """A tensor stored as float32."""
    return name, values.shape, 0, values.astype("<f4").tobytes()


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def _value(value: object) -> bytes:
    match value:
        case str():
            return struct.pack("<I", STRING) + _text(value)
        case int():
            return struct.pack("<II", UINT32, value)
        case float():
            return struct.pack("<If", FLOAT32, value)
        case [*items]:
            return struct.pack("<I", ARRAY) + _items(items)
    raise TypeError(value)


def _items(items: list[object]) -> bytes:
    values = [_value(item) for item in items]
    return values[0][:4] + struct.pack("<Q", len(items)) + b"".join(v[4:] for v in values)
