"""Files that hold tensors: safetensors, whole or in shards, and .pt; read one file at a time."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mingle.errors import CheckpointError

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class TensorInfo:
    """What a file's header says of one tensor; `num_bytes` as stored."""

    file: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    num_bytes: int


class TensorFiles:
    """The tensors of one checkpoint, whatever files they lie in. Nothing is read but headers."""

    def __init__(self, infos: Mapping[str, TensorInfo]):
        self.infos = dict(infos)

    def stream(self, names: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Give the named tensors one by one, file by file; each file is closed before the next.

        Files that hold none of them are not opened. Raises CheckpointError for unreadable files.
        """
        wanted = set(names)
        for file in dict.fromkeys(info.file for info in self.infos.values()):
            here = [n for n in wanted if self.infos[n].file == file]
            if here and file.suffix == ".pt":
                tensors = _load_pickle(file)
                for name in sorted(here):
                    yield name, tensors[name]
            elif here:
                yield from _stream_safetensors(file, sorted(here))


def open_tensors(folder: Path, stem: str) -> TensorFiles:
    """Open `stem.safetensors`, `stem.safetensors.index.json`, or the file `stem` itself if .pt.

    Checks that every file is there and as long as its header says, and that index and shards
    agree. Raises CheckpointError.
    """
    if stem.endswith(".pt"):
        return TensorFiles(_pickle_infos(folder / stem))
    index, single = (folder / name for name in _names(stem))
    if index.is_file():
        return TensorFiles(_indexed(index))
    if single.is_file():
        return TensorFiles(read_header(single))
    raise CheckpointError(
        f"{folder} holds neither {single.name} nor {index.name}; "
        "is the download complete? 'mingle pull' fetches what is missing"
    )


def has_tensors(folder: Path, stem: str) -> bool:
    """Whether there is something for `open_tensors` to open."""
    names = (stem,) if stem.endswith(".pt") else _names(stem)
    return any((folder / name).is_file() for name in names)


def _names(stem: str) -> tuple[str, str]:
    """The index of a set of shards, and the file that holds all where there are none."""
    return f"{stem}.safetensors.index.json", f"{stem}.safetensors"


def read_header(file: Path) -> dict[str, TensorInfo]:
    """What a safetensors file holds. Raises CheckpointError if it is truncated or not one."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 2 <= length <= MAX_HEADER_BYTES:
            raise CheckpointError(f"{file} is not a safetensors file; fetch it again")
        text = stream.read(length)
    if len(text) < length:
        raise CheckpointError(f"{file} ends inside its header; fetch it again")
    try:
        header: dict[str, Any] = json.loads(text)
        header.pop("__metadata__", None)
        ends = [entry["data_offsets"][1] for entry in header.values()]
        infos = {name: _info(file, name, entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"the header of {file} is damaged; fetch it again") from error
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise CheckpointError(
            f"{file} has {size} bytes, its header promises {expected}; "
            "the download was cut off: fetch it again"
        )
    return infos


def _info(file: Path, name: str, entry: Mapping[str, Any]) -> TensorInfo:
    if entry["dtype"] not in DTYPES:
        known = ", ".join(DTYPES)
        raise CheckpointError(f"'{name}' in {file} has dtype {entry['dtype']}; known: {known}")
    start, end = entry["data_offsets"]
    return TensorInfo(file, DTYPES[entry["dtype"]], tuple(entry["shape"]), end - start)


def _indexed(index: Path) -> dict[str, TensorInfo]:
    try:
        shard_of: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{index} is not an index with a 'weight_map'") from error
    infos: dict[str, TensorInfo] = {}
    shards = sorted(set(shard_of.values()))
    for shard in shards:
        if Path(shard).name != shard:
            raise CheckpointError(f"{index} names '{shard}'; a shard must lie beside its index")
        file = index.parent / shard
        if not file.is_file():
            missing = sum(not (index.parent / one).is_file() for one in shards)
            raise CheckpointError(
                f"{shard} is missing ({missing} of {len(shards)} shards are); "
                f"{index.name} names it: fetch the model again, what is here is kept"
            )
        for name, info in read_header(file).items():
            if shard_of.get(name) != shard:
                raise CheckpointError(f"{shard} holds '{name}', which {index.name} does not say")
            infos[name] = info
    lost = sorted(set(shard_of) - set(infos))
    if lost:
        raise CheckpointError(
            f"{index.name} promises '{lost[0]}' in {shard_of[lost[0]]}: not there"
        )
    return infos


def _stream_safetensors(file: Path, names: list[str]) -> Iterator[tuple[str, Tensor]]:
    try:
        with safe_open(file, framework="pt", device="cpu") as tensors:
            for name in names:
                yield name, tensors.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}); fetch it again") from error


def _pickle_infos(file: Path) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(file, tensor.dtype, tuple(tensor.shape), tensor.nbytes)
        for name, tensor in _load_pickle(file).items()
    }


def _load_pickle(file: Path) -> dict[str, Tensor]:
    """Tensors of a .pt file, by torch's restricted unpickler; a key `state_dict` is entered."""
    if not file.is_file():
        raise CheckpointError(f"{file} is missing; is the download complete?")
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch names no common class: zip, pickle and runtime errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{file} cannot be read safely ({reason})") from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(isinstance(t, Tensor) for t in loaded.values()):
        raise CheckpointError(f"{file} holds more than named tensors; it is not used")
    return loaded
