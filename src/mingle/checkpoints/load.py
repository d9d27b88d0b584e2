"""Opening a model's folder and loading the parts that are asked for."""

import difflib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mingle.checkpoints import store
from mingle.checkpoints.families import FAMILIES
from mingle.checkpoints.family import Family, PartSpec, Weights
from mingle.checkpoints.shards import has_tensors, open_tensors
from mingle.checkpoints.streaming import Consumer, LoadReport, Reading, build_on_meta, fill
from mingle.checkpoints.table import Table
from mingle.errors import CheckpointError, ConfigError, InputError
from mingle.messages import SamplingOptions
from mingle.model import OmniModel
from mingle.processing.inputs import Processor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelFolder:
    """A model on this disk: its family, and what its configuration files say."""

    folder: Path
    family: Family

    @cached_property
    def raw(self) -> dict[str, Any]:
        """Every JSON file that the family's parts read and that is here, by relative path."""
        found = {name: sorted(self.folder.glob(name)) for name in config_names(self.family)}
        raw = {name: read_json(files[0]) for name, files in found.items() if files}
        if raw:
            self.family.check(raw)
        return raw

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration of every part whose files are here, by part name."""
        return {name: self._spec(name).read_config(self.raw) for name in self.parts}

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts whose configuration files are here."""
        return tuple(
            part.name
            for part in self.family.parts
            if all(name in self.raw for name in part.configs)
        )

    def holds(self, part: str) -> bool:
        """Whether config and weights of a part are here (a list of files; nothing is read)."""
        return part in self.parts and all(
            weights.optional or has_tensors(self.folder / weights.folder, weights.stem)
            for weights in self._spec(part).weights
        )

    def load(
        self,
        parts: Sequence[str] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
    ) -> OmniModel:
        """Load parts (the family's usual ones if None) into one OmniModel.

        dtype None keeps what the files hold. Raises CheckpointError and ConfigError.
        """
        modules, report = self.load_modules(parts, dtype=dtype, device=device)
        logger.info(
            "loaded %s: %d keys used, %d ignored, %d tensors filled, %s",
            ", ".join(modules),
            len(report.used),
            len(report.ignored),
            len(report.filled),
            store.readable(report.num_bytes),
        )
        return self.family.assemble(modules, self.config)

    def load_modules(
        self,
        parts: Sequence[str] | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
    ) -> tuple[dict[str, nn.Module], LoadReport]:
        """The parts' modules by name, and the report on every key and every parameter."""
        wanted = self._wanted(parts)
        device = torch.device(device)
        modules: dict[str, nn.Module] = {}
        for spec in map(self._spec, wanted):
            config = self.config[spec.name]
            if spec.load is not None:
                modules[spec.name] = spec.load(self.folder, config, dtype, device)
            else:
                modules[spec.name] = build_on_meta(lambda s=spec, c=config: s.build(c))
        readings = readings_of(self, modules)
        report = fill(readings, dtype=dtype, device=device) if readings else LoadReport()
        return {name: module.eval() for name, module in modules.items()}, report

    @property
    def sampling(self) -> SamplingOptions:
        """How the next token is chosen where a request does not say."""
        return self.family.sampling(self.raw)

    def processor(self) -> Processor:
        """The processor that turns requests into this model's inputs."""
        return self.family.processor(self.folder, self.raw)

    def _spec(self, name: str) -> PartSpec:
        return self.family.part(name)

    def _wanted(self, parts: Sequence[str] | None) -> tuple[str, ...]:
        known = [part.name for part in self.family.parts]
        wanted = self.family.default_parts if parts is None else tuple(parts)
        for name in wanted:
            if name not in known:
                raise InputError(f"a {self.family.name} has no part '{name}'; its parts: {known}")
            missing = [file for file in self._spec(name).configs if file not in self.raw]
            if missing:
                raise CheckpointError(
                    f"the part '{name}' is not in {self.folder} ({missing[0]} is missing); "
                    f"run: mingle pull {self.family.name}"
                )
        return self.family.names(wanted)


def open_model(name_or_folder: str | Path) -> ModelFolder:
    """Open a model by its name or by its folder; reads no weights.

    Raises InputError for unknown names, CheckpointError for one that is not on this machine or a
    folder of no known family.
    """
    folder = Path(name_or_folder)
    if folder.is_dir():
        return ModelFolder(folder, recognise(folder))
    family = find_family(str(name_or_folder))
    folder = family.locate() if family.locate is not None else store.folder_of(family.name)
    if not folder.is_dir():
        raise CheckpointError(
            f"{family.name} is not on this machine (no {folder}); run: mingle pull {family.name}"
        )
    return ModelFolder(folder, family)


def find_family(name: str) -> Family:
    """The family of this name, or of this repository on a hub; raises InputError."""
    for family in FAMILIES.values():
        repositories = () if family.source is None else family.source.repositories.values()
        if name.lower() in {family.name.lower(), *(one.lower() for one in repositories)}:
            return family
    close = difflib.get_close_matches(name, FAMILIES, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]}?" if close else f"known names: {', '.join(FAMILIES)}"
    raise InputError(f"'{name}' is neither a folder nor the name of a model; {hint}")


def recognise(folder: Path) -> Family:
    """The family whose checkpoint lies in a folder; raises CheckpointError if there is none."""
    file = folder / "config.json"
    says = "there is no config.json"
    if file.is_file():
        config = read_json(file)
        found = [family for family in FAMILIES.values() if family.recognise(config)]
        if len(found) == 1:
            return found[0]
        says = f"config.json says {config.get('model_type')!r}, {config.get('architectures')!r}"
    known = ", ".join(FAMILIES)
    raise CheckpointError(f"{folder} is no checkpoint of a known family ({says}); known: {known}")


def config_names(family: Family) -> list[str]:
    """The configuration files that a family's parts read, by path or pattern, each once."""
    names = (n for part in family.parts for n in (*part.configs, *part.optional_configs))
    return list(dict.fromkeys(names))


def by_pattern(family: Family, contents: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration files given by path, keyed as the family's readers look for them."""
    return {
        pattern: content
        for pattern in config_names(family)
        for path, content in contents.items()
        if fnmatchcase(path, pattern)
    }


def readings_of(model: ModelFolder, modules: Mapping[str, nn.Module]) -> list[Reading]:
    """The tensor files that hold the given parts, with every part that reads the same files."""
    places: dict[tuple[str, str], list[tuple[Weights, Consumer]]] = {}
    for spec in model.family.parts:
        if spec.rules is None or spec.name not in model.parts:
            continue
        table = Table(spec.rules(model.config[spec.name]))
        consumer = Consumer(part=spec.name, table=table, module=modules.get(spec.name))
        for weights in spec.weights:
            if weights.optional and not (model.folder / weights.folder).is_dir():
                continue
            places.setdefault((weights.folder, weights.stem), []).append((weights, consumer))
    return [
        Reading(
            folder=folder,
            stem=stem,
            files=open_tensors(model.folder / folder, stem),
            consumers=tuple((weights.prefix, consumer) for weights, consumer in readers),
        )
        for (folder, stem), readers in places.items()
        if any(consumer.module is not None for _, consumer in readers)
    ]


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file; raises ConfigError if it is not one."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read as JSON ({error}); fetch it again") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{file} holds {type(value).__name__}, expected an object with keys")
    return value
