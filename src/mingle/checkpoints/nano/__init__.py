"""The family nano: the small Ming that this project trains, which comes with it.

Its config and what is trained here lie in `models/nano` of the project; what it is built on is
fetched by `mingle pull nano`.
"""

import sysconfig
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mingle.checkpoints import packages
from mingle.checkpoints.family import Family, PartSpec, RawConfigs
from mingle.checkpoints.gguf import GgufFile
from mingle.checkpoints.nano import additions, hearing, processor, trained, upcycle
from mingle.checkpoints.nano.base import BASE
from mingle.checkpoints.nano.config import NanoConfig, read_config, read_sampling
from mingle.checkpoints.nano.parts import AUDIO, PAINTER, TALKER, VISION, speech_files
from mingle.checkpoints.nano.whisper import ENCODER
from mingle.errors import CheckpointError
from mingle.model import OmniModel
from mingle.processing.inputs import Processor

NAME = "nano"
ROOT = "config.json"


def locate() -> Path:
    """Where nano lies: in the project's tree, or beside the installed package's data."""
    tree = Path(__file__).parents[4] / "models" / NAME
    installed = Path(sysconfig.get_path("data")) / "share" / "mingle" / NAME
    for folder in (tree, installed):
        if (folder / ROOT).is_file():
            return folder
    raise CheckpointError(
        f"nano is neither in {tree} nor in {installed}; install Mingle from its source tree"
    )


def load_thinker(
    folder: Path, config: NanoConfig, dtype: torch.dtype | None, device: torch.device
) -> nn.Module:
    """The thinker, made from the base. Raises CheckpointError if that is missing or damaged."""
    base = GgufFile(packages.find_checked(BASE, NAME))
    added = trained.read_tensors(folder, additions.PART) if config.additions else None
    return upcycle.load_thinker(base, config, dtype, device, added)


def open_processor(folder: Path, raw: RawConfigs) -> Processor:
    """The processor; its words are in the base's file."""
    base = GgufFile(packages.find(BASE, NAME))
    built = processor.build(base.metadata, read_config(raw[ROOT]))
    if hearing.FILE not in raw or "audio.json" not in raw:
        return built
    ears = hearing.read_hearing(raw[hearing.FILE])
    reader = hearing.open_reader(folder, ears, raw["audio.json"])
    return replace(built, reader=reader, reads_beside_pictures=ears.way == "words")


def assemble(modules: Mapping[str, nn.Module], configs: Mapping[str, Any]) -> OmniModel:
    """Put the loaded parts into one model."""
    return OmniModel(**modules)  # pyright: ignore[reportArgumentType]  # parts bear its names


THINKER = PartSpec(
    name="thinker",
    configs=(ROOT,),
    read_config=lambda raw: read_config(raw[ROOT]),
    build=upcycle.build,
    load=load_thinker,
)

FAMILY = Family(
    name=NAME,
    description="the small model that comes with Mingle: English text; 0.15 B",
    parts=(THINKER, VISION, AUDIO, PAINTER, TALKER),
    default_parts=("thinker",),
    recognise=lambda config: config.get("family") == NAME,
    assemble=assemble,
    processor=open_processor,
    locate=locate,
    packages=(BASE, ENCODER),
    sampling=lambda raw: read_sampling(raw[ROOT]),
    speech=speech_files,
)
