"""Filling modules from checkpoint files, one file at a time, each tensor straight into its place.

Everything that can be wrong is checked from the files' headers before a tensor is read. A tensor
that many of theirs make up (stacked experts) is allocated once and filled piece by piece, so memory
never holds more than the model and one file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from tqdm import tqdm

from mingle.checkpoints.memory import available_memory, check_memory
from mingle.checkpoints.rules import Ignore
from mingle.checkpoints.shards import TensorFiles, TensorInfo
from mingle.checkpoints.table import Piece, Table
from mingle.errors import CheckpointError

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What became of every key and every parameter of one load.

    `used` maps a key to the names it filled (with their part before them), `ignored` to the reason
    it was not needed; `filled` names every parameter and stored buffer, `num_bytes` is their size.
    """

    used: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    filled: tuple[str, ...] = ()
    num_bytes: int = 0

    def __add__(self, other: "LoadReport") -> "LoadReport":
        return LoadReport(
            used={**self.used, **other.used},
            ignored={**self.ignored, **other.ignored},
            filled=self.filled + other.filled,
            num_bytes=self.num_bytes + other.num_bytes,
        )


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A part that reads a file: its name, its rules, its module on meta (None: not asked for)."""

    part: str
    table: Table
    module: nn.Module | None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One set of tensor files, where it lies, and who reads it with which prefix."""

    folder: str
    stem: str
    files: TensorFiles
    consumers: tuple[tuple[str, Consumer], ...]

    @property
    def label(self) -> str:
        """What stands before a tensor's name in messages and reports."""
        return f"{self.folder}/" if self.folder else ""


_DRAWING = (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_)


class _EmptyOnMeta(TorchFunctionMode):
    """Inside, `torch.empty` makes meta tensors: parameters cost nothing, computed buffers live.

    Nothing is drawn for them either: on meta that would import torch's compiler, for a second.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _DRAWING and kwargs["tensor"].is_meta:
            return kwargs["tensor"]
        if func is torch.empty and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a module whose parameters and stored buffers have shapes but no memory.

    Buffers that are not stored (`persistent=False`) keep the values the constructor computed.
    """
    with _EmptyOnMeta():
        module = build()
    emptied: dict[int, tuple[Tensor, Tensor]] = {}  # by identity: tied tensors stay tied
    for _, owner, name, tensor in _slots(module):
        _, empty = emptied.setdefault(id(tensor), (tensor, _on_meta(tensor)))
        _put(owner, name, empty)
    left = [name for name, buffer in _computed(module) if buffer.is_meta]
    assert not left, f"computed buffers must not be made with torch.empty: {left}"
    return module


def _on_meta(tensor: Tensor) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach().to("meta"), requires_grad=tensor.requires_grad)
    return tensor.to("meta")


def fill(
    readings: Sequence[Reading], *, dtype: torch.dtype | None, device: torch.device
) -> LoadReport:
    """Fill the consumers' modules in place; `dtype` None keeps each tensor's own.

    Raises CheckpointError, before a tensor is read, for unknown or missing keys, wrong shapes or
    dtypes, and parameters that nothing fills; CapacityError if main memory is too small.
    """
    plan = _Plan(readings)
    plan.check()
    if device.type == "cpu":
        check_memory(plan.infos(), dtype, available_memory())
    total = sum(info.num_bytes for info in plan.infos())
    with tqdm(total=total, unit="B", unit_scale=True, desc="loading", disable=None) as bar:
        for reading, uses in zip(readings, plan.uses, strict=True):
            for name, tensor in reading.files.stream(uses):
                for key, piece in uses[name]:
                    plan.targets[key].put(piece, tensor, dtype, device)
                bar.update(reading.files.infos[name].num_bytes)
    for target in plan.targets.values():
        target.assign()
    for consumer in plan.consumers:
        assert consumer.module is not None
        for owner, name, buffer in _computed_slots(consumer.module):
            owner._buffers[name] = buffer.to(device)
    return plan.report()


def stored_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Every parameter and every stored buffer by path; tied ones under each of their names."""
    return {path: tensor for path, _, _, tensor in _slots(module)}


# --- where tensors go ----------------------------------------------------------------------------

Key = tuple[str, str]  # part, name of ours


class _Target:
    """One of our tensors: who owns it (tied ones have several owners), and what fills it."""

    def __init__(self, like: Tensor):
        self.owners: list[tuple[nn.Module, str]] = []
        self.like = like
        self.value: Tensor | None = None
        self.pieces: list[tuple[Piece, TensorInfo, str]] = []

    def put(
        self, piece: Piece, tensor: Tensor, dtype: torch.dtype | None, device: torch.device
    ) -> None:
        """Cast and copy one piece into its place; the first one allocates the whole."""
        if self.value is None:
            own = tensor.dtype if self.like.is_floating_point() else self.like.dtype
            cast = dtype if dtype is not None and self.like.is_floating_point() else own
            self.value = torch.empty(self.like.shape, dtype=cast, device=device)
        piece.slot(self.value).copy_(piece.take(tensor))

    def assign(self) -> None:
        """Hand the filled tensor to its owners."""
        assert self.value is not None
        value = self.value
        if isinstance(self.like, nn.Parameter):
            value = nn.Parameter(value, requires_grad=self.like.requires_grad)
        for owner, name in self.owners:
            _put(owner, name, value)
        self.value = value

    def check(self, key: Key) -> None:
        """Raise CheckpointError unless the pieces fit, and fill the tensor exactly once."""
        shape = tuple(self.like.shape)
        for piece, info, label in self.pieces:
            expected = piece.their_shape(shape)
            if info.shape != expected:
                raise CheckpointError(
                    f"'{piece.theirs}' in {label} has shape {list(info.shape)}, config.json asks "
                    f"for {list(expected)}; do config and weights belong to the same model?"
                )
            kinds = FLOATS if self.like.is_floating_point() else (self.like.dtype,)
            if info.dtype not in kinds:
                wanted = " or ".join(str(kind).removeprefix("torch.") for kind in kinds)
                raise CheckpointError(
                    f"'{piece.theirs}' in {label} is {str(info.dtype).removeprefix('torch.')}, "
                    f"expected {wanted}; is this a quantised copy of the model?"
                )
        stored = {info.dtype for _, info, _ in self.pieces}
        if len(stored) > 1 and self.like.is_floating_point():
            names = sorted(str(kind).removeprefix("torch.") for kind in stored)
            raise CheckpointError(f"the pieces of '{'.'.join(key)}' have dtypes {', '.join(names)}")


class _Plan:
    """Which key fills what, for all readings together."""

    def __init__(self, readings: Sequence[Reading]):
        everyone = {c.part: c for reading in readings for _, c in reading.consumers}
        self.consumers = [c for c in everyone.values() if c.module is not None]
        self.targets: dict[Key, _Target] = {}
        for consumer in self.consumers:
            assert consumer.module is not None
            self.targets |= _targets(consumer.part, consumer.module)
        self.used: dict[str, tuple[str, ...]] = {}
        self.ignored: dict[str, str] = {}
        self.uses = [self._sort(reading) for reading in readings]

    def infos(self) -> Iterator[TensorInfo]:
        """The headers' entries of all tensors that will be read."""
        unique = {piece.theirs: info for t in self.targets.values() for piece, info, _ in t.pieces}
        return iter(unique.values())

    def check(self) -> None:
        """Raise CheckpointError unless every target is filled exactly once with what fits it."""
        for consumer in self.consumers:
            names: dict[int, list[str]] = {}  # of one target: tied tensors have several
            theirs: list[str] = []
            for (part, name), target in self.targets.items():
                if part == consumer.part:
                    names.setdefault(id(target), []).append(name)
                    theirs += [piece.theirs for piece, _, _ in target.pieces]
            made = [_made_by(consumer.table, tied) for tied in names.values()]
            consumer.table.check_complete(theirs, made)
        for key, target in self.targets.items():
            target.check(key)

    def report(self) -> LoadReport:
        values = {id(t.value): t.value for t in self.targets.values() if t.value is not None}
        return LoadReport(
            used=self.used,
            ignored=self.ignored,
            filled=tuple(".".join(key) for key in self.targets),
            num_bytes=sum(value.nbytes for value in values.values()),
        )

    def _sort(self, reading: Reading) -> dict[str, list[tuple[Key, Piece]]]:
        uses: dict[str, list[tuple[Key, Piece]]] = {}
        for name, info in reading.files.infos.items():
            label = f"{reading.label}{name}"
            consumer, use = _claim(reading, name)
            if isinstance(use, Ignore):
                self.ignored[label] = use.reason
            elif consumer.module is None:
                self.ignored[label] = f"belongs to the part '{consumer.part}', not asked for"
            else:
                uses[name] = [((consumer.part, piece.ours), piece) for piece in use]
                self.used[label] = tuple(".".join(key) for key, _ in uses[name])
                for key, piece in uses[name]:
                    self._target(key, label).pieces.append((piece, info, info.file.name))
        return uses

    def _target(self, key: Key, label: str) -> _Target:
        if key not in self.targets:
            raise CheckpointError(
                f"'{label}' would fill '{'.'.join(key)}', which a model of this config.json does "
                "not have; is it the config of another model?"
            )
        return self.targets[key]


def _claim(reading: Reading, name: str) -> tuple[Consumer, tuple[Piece, ...] | Ignore]:
    """The one consumer whose rules know a key; raises CheckpointError if there is none."""
    claims = [(c, c.table.use_of(prefix + name)) for prefix, c in reading.consumers]
    for consumer, use in claims:
        if use is not None:
            return consumer, use
    hints = dict.fromkeys(c.table.nearest(prefix + name) for prefix, c in reading.consumers)
    raise CheckpointError(
        f"unknown key '{reading.label}{name}' in {reading.files.infos[name].file.name}; "
        f"{'; '.join(hints)}; is this a checkpoint of another model?"
    )


def _made_by(table: Table, names: list[str]) -> str:
    """The one name of a tied tensor that the rules fill; the first if they fill none."""
    made = [name for name in names if table.makes(name)]
    assert len(made) <= 1, f"the rules fill a tied tensor twice: {made}"
    return (made or names)[0]


def _targets(part: str, module: nn.Module) -> dict[Key, _Target]:
    targets: dict[Key, _Target] = {}
    by_identity: dict[int, _Target] = {}
    for path, owner, name, tensor in _slots(module):
        target = by_identity.setdefault(id(tensor), _Target(tensor))
        target.owners.append((owner, name))
        targets[part, path] = target
    return targets


def _slots(module: nn.Module) -> list[tuple[str, nn.Module, str, Tensor]]:
    """Path, owner, attribute and tensor of every parameter and every stored buffer."""
    slots: list[tuple[str, nn.Module, str, Tensor]] = []
    for prefix, owner in module.named_modules(remove_duplicate=False):
        dot = f"{prefix}." if prefix else ""
        for name, parameter in owner._parameters.items():
            if parameter is not None:
                slots.append((dot + name, owner, name, parameter))
        for name, buffer in owner._buffers.items():
            if buffer is not None and name not in owner._non_persistent_buffers_set:
                slots.append((dot + name, owner, name, buffer))
    return slots


def _put(owner: nn.Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, nn.Parameter):
        owner._parameters[name] = tensor
    else:
        owner._buffers[name] = tensor


def _computed_slots(module: nn.Module) -> list[tuple[nn.Module, str, Tensor]]:
    """Owner, attribute and tensor of every buffer that no checkpoint stores."""
    return [
        (owner, name, buffer)
        for owner in module.modules()
        for name, buffer in owner._buffers.items()
        if buffer is not None and name in owner._non_persistent_buffers_set
    ]


def _computed(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [(f"{type(owner).__name__}.{name}", b) for owner, name, b in _computed_slots(module)]
