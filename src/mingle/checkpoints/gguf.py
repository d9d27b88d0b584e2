"""Read GGUF files, the format of llama.cpp: metadata, and tensors as float32 arrays.

Layout (version 2 and 3, little-endian): magic, version, counts, key-value pairs, tensor
descriptions, padding, then the tensors, each aligned. Quantised tensors are rows of blocks of 32
values. Format: the GGUF document of the ggml project.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from mingle.errors import CheckpointError

BLOCK_VALUES = 32
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a tensor's values are stored: so many bytes hold so many values."""

    name: str
    block_bytes: int
    block_values: int


KINDS = {
    0: Kind(name="F32", block_bytes=4, block_values=1),
    1: Kind(name="F16", block_bytes=2, block_values=1),
    3: Kind(name="Q4_1", block_bytes=20, block_values=BLOCK_VALUES),  # scale, least, 32 nibbles
    8: Kind(name="Q8_0", block_bytes=34, block_values=BLOCK_VALUES),  # scale, 32 signed bytes
}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Where one tensor lies; `shape` in row-major order, `start` in bytes from the file's begin."""

    shape: tuple[int, ...]
    kind: Kind
    start: int

    @property
    def num_bytes(self) -> int:
        """Bytes on disk."""
        return math.prod(self.shape) // self.kind.block_values * self.kind.block_bytes


class GgufFile:
    """One open file: `metadata`, `tensors` (descriptions) and `read(name)`.

    Raises CheckpointError when the file is no GGUF, is cut off, or holds a kind not known here.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise CheckpointError(f"cannot read {path}: {error}; fetch the file again") from error
        cursor = _Cursor(self._bytes, path)
        num_tensors, num_pairs = cursor.header()
        self.metadata: dict[str, Any] = {}
        for _ in range(num_pairs):
            key = cursor.string()
            self.metadata[key] = cursor.value(cursor.scalar("I"))
        self.tensors = self._describe(cursor, num_tensors)

    def read(self, name: str) -> Float32[np.ndarray, "..."]:
        """One tensor, dequantised, in memory of its own. Raises CheckpointError if unknown."""
        if name not in self.tensors:
            raise CheckpointError(
                f"{self.path} has no tensor '{name}'; is it another model's file?"
            )
        stored = self.tensors[name]
        raw = self._bytes[stored.start : stored.start + stored.num_bytes]
        return _DEQUANTISE[stored.kind.name](np.asarray(raw)).reshape(stored.shape)

    def _describe(self, cursor: "_Cursor", num_tensors: int) -> dict[str, Stored]:
        described = []
        for _ in range(num_tensors):
            name = cursor.string()
            shape = tuple(cursor.scalar("Q") for _ in range(cursor.scalar("I")))[::-1]
            described.append((name, shape, cursor.scalar("I"), cursor.scalar("Q")))
        alignment = self.metadata.get("general.alignment", 32)
        data_start = -(-cursor.at // alignment) * alignment
        tensors = {}
        for name, shape, kind, offset in described:
            if kind not in KINDS:
                known = ", ".join(k.name for k in KINDS.values())
                raise CheckpointError(
                    f"{self.path}: tensor '{name}' is stored as GGML type {kind}; known: {known}"
                )
            tensors[name] = Stored(shape=shape, kind=KINDS[kind], start=data_start + offset)
        end = max((t.start + t.num_bytes for t in tensors.values()), default=0)
        if end > len(self._bytes):
            raise _cut_off(self.path, len(self._bytes), end)
        return tensors


class _Cursor:
    """Reads values one after another and knows where it stands."""

    def __init__(self, data: UInt8[np.ndarray, " bytes"], path: Path):
        self.data, self.path, self.at = data.data, path, 0

    def header(self) -> tuple[int, int]:
        magic = self.take(4)
        version = self.scalar("I")
        if magic != b"GGUF" or version not in (2, 3):
            raise CheckpointError(
                f"{self.path} begins with {magic!r}, version {version}; "
                "expected GGUF, version 2 or 3: is it the right file?"
            )
        return self.scalar("Q"), self.scalar("Q")

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise _cut_off(self.path, len(self.data), self.at + count)
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def scalar(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def string(self) -> str:
        return self.take(self.scalar("Q")).decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            item_kind, count = self.scalar("I"), self.scalar("Q")
            return [self.value(item_kind) for _ in range(count)]
        if kind not in _SCALARS:
            raise CheckpointError(f"{self.path}: metadata of unknown type {kind}; is it damaged?")
        return self.scalar(_SCALARS[kind])


def _cut_off(path: Path, found: int, expected: int) -> CheckpointError:
    return CheckpointError(
        f"{path} is cut off: {found} bytes found, at least {expected} expected; fetch it again"
    )


def _float16(raw: UInt8[np.ndarray, " bytes"]) -> Float32[np.ndarray, " values"]:
    return raw.view("<f2").astype(np.float32)


def _float32(raw: UInt8[np.ndarray, " bytes"]) -> Float32[np.ndarray, " values"]:
    return raw.view("<f4").astype(np.float32, copy=True)


def _q4_1(raw: UInt8[np.ndarray, " bytes"]) -> Float32[np.ndarray, " values"]:
    """scale * nibble + least; the low nibbles are a block's first half, the high its second."""
    blocks = raw.reshape(-1, KINDS[3].block_bytes)
    scale_and_least = np.ascontiguousarray(blocks[:, :4]).view("<f2").astype(np.float32)
    nibbles = np.concatenate((blocks[:, 4:] & 15, blocks[:, 4:] >> 4), axis=1)
    return (scale_and_least[:, :1] * nibbles + scale_and_least[:, 1:]).ravel()


def _q8_0(raw: UInt8[np.ndarray, " bytes"]) -> Float32[np.ndarray, " values"]:
    blocks = raw.reshape(-1, KINDS[8].block_bytes)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    return (scale * blocks[:, 2:].view(np.int8)).ravel()


_DEQUANTISE = {"F32": _float32, "F16": _float16, "Q4_1": _q4_1, "Q8_0": _q8_0}
