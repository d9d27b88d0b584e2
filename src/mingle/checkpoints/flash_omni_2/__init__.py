"""The family Ming-flash-omni 2.0: its parts, where their files lie, and how they become one model.

Names of keys and folders are the released checkpoint's; one file of this package for each part.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from mingle.checkpoints import store
from mingle.checkpoints.family import Family, PartSpec, RawConfigs, Source, Weights
from mingle.checkpoints.fields import Fields
from mingle.checkpoints.flash_omni_2 import (
    audio,
    audio_vae,
    painter,
    processor,
    talker,
    thinker,
    vision,
)
from mingle.checkpoints.flash_omni_2.ignored import ignore_defaults
from mingle.checkpoints.mapping import Rule, prefixed
from mingle.checkpoints.speech_files import SpeechFiles, read_presets
from mingle.errors import CheckpointError
from mingle.model import OmniModel
from mingle.processing.inputs import Processor
from mingle.talker.audio_vae import AudioVaeConfig
from mingle.talker.speech import SpeechConfig, SpeechModel

ROOT = "config.json"
TALKER, TALKER_LLM = "talker/config.json", "talker/llm/config.json"
AUDIO_VAE = "talker/vae/config.json"
SCHEDULER = "scheduler/scheduler_config.json"
BYT5, BYT5_MODEL = "byt5/byt5.json", "byt5/google__byt5*/config.json"
BYT5_TOKENS = ("byt5/color_idx.json", "byt5/font*idx.json")  # one added token for each key
PAINTER = ("mlp/config.json", "connector/config.json", "transformer/config.json", "vae/config.json")
MODEL_TYPE = "bailingmm_moe_v2_lite"
VISION_TYPE = "qwen3_moe_vit"
TOKENIZER_LENDER = "ming-flash-omni-preview"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def check_root(raw: RawConfigs) -> None:
    """Refuse a root config.json with a key that nothing here reads or ignores (ConfigError)."""
    fields = Fields(raw.get(ROOT), ROOT)
    fields.expect("model_type", MODEL_TYPE)
    for key in ("llm_config", "vision_config", "audio_config"):
        fields.take(key, dict)
    fields.take("mlp_depth", int)
    ignore_defaults(fields)
    fields.done()


def recognise(config: Mapping[str, Any]) -> bool:
    """Whether a root config.json is of this family: the vision tower tells it from the Preview."""
    tower = config.get("vision_config") or {}
    return config.get("model_type") == MODEL_TYPE and tower.get("model_type") == VISION_TYPE


def assemble(modules: Mapping[str, nn.Module], configs: Mapping[str, Any]) -> OmniModel:
    """Put the loaded parts into one model."""
    return OmniModel(**modules)  # pyright: ignore[reportArgumentType]  # parts bear its names


def read_speech(raw: RawConfigs) -> SpeechConfig:
    """Read the talker's three configuration files."""
    return SpeechConfig(
        talker=talker.read_config(raw[TALKER], raw[TALKER_LLM]),
        vae=audio_vae.read_config(raw[AUDIO_VAE]),
        speaker=None,
    )


def speech_rules(config: SpeechConfig) -> tuple[Rule, ...]:
    """Names in `talker/`, and below `vae/` in `talker/vae/`."""
    assert isinstance(config.vae, AudioVaeConfig)  # read_speech made it
    return (
        *prefixed(talker.rules(config.talker), ours="talker."),
        *prefixed(audio_vae.rules(config.vae), theirs="vae/", ours="vae."),
    )


def read_painter(raw: RawConfigs) -> Any:
    """Read the painter's configuration files; without byt5/ it paints no quoted text."""
    files = {Path(name).parent.name: raw[name] for name in (*PAINTER, SCHEDULER)}
    if BYT5 in raw:
        files |= {"byt5": raw[BYT5], "byt5_model": raw[BYT5_MODEL]}
        files["byt5_tokens"] = sum(len(raw[name]) for name in BYT5_TOKENS if name in raw)
    return painter.read_config(files | {"thinker_dim": thinker.read_config(raw[ROOT]).dim})


def open_processor(folder: Path, raw: RawConfigs) -> Processor:
    """The processor of a checkpoint folder."""
    context = thinker.read_config(raw[ROOT]).max_positions
    return processor.build(folder, context, tokenizer_folder(folder))


def tokenizer_folder(folder: Path) -> Path:
    """Where the tokenizer of a checkpoint is: the released repository has none, the Preview's has.

    Raises CheckpointError if neither is on this machine.
    """
    places = (folder, store.folder_of(TOKENIZER_LENDER))
    for place in places:
        if (place / TOKENIZER[0]).is_file():
            return place
    raise CheckpointError(
        f"{folder} has no {TOKENIZER[0]}, as the released repository; "
        f"run: mingle pull {TOKENIZER_LENDER} --parts processor"
    )


def speech_files(folder: Path) -> SpeechFiles:
    """The talker's tokenizer, speaker encoder and voices; the encoder may be missing."""
    encoder = folder / "talker/campplus.onnx"
    return SpeechFiles(
        tokenizer=folder / "talker/llm/tokenizer.json",
        speaker_encoder=encoder if encoder.is_file() else None,
        presets=read_presets(folder / "talker/data/voice_name.json", folder / "talker"),
    )


THINKER = PartSpec(
    name="thinker",
    configs=(ROOT,),
    read_config=lambda raw: thinker.read_config(raw[ROOT]),
    build=thinker.build,
    rules=thinker.rules,
    weights=(Weights(),),
)

VISION = PartSpec(
    name="vision",
    configs=(ROOT,),
    read_config=lambda raw: vision.read_config(raw[ROOT]),
    build=vision.build,
    rules=vision.rules,
    weights=(Weights(),),
)

AUDIO = PartSpec(
    name="audio",
    configs=(ROOT,),
    read_config=lambda raw: audio.read_config(raw[ROOT]),
    build=audio.build,
    rules=audio.rules,
    weights=(Weights(),),
)

SPEECH = PartSpec(
    name="talker",
    configs=(TALKER, TALKER_LLM, AUDIO_VAE),
    read_config=read_speech,
    build=SpeechModel,
    rules=speech_rules,
    weights=(Weights(folder="talker"), Weights(folder="talker/vae", prefix="vae/")),
    files=(
        "talker/campplus.onnx",
        "talker/data/*",
        "talker/llm/*.json",
        "talker/llm/*.txt",
        "talker/talker_tn/*",
    ),
)

PICTURES = PartSpec(
    name="painter",
    configs=(ROOT, *PAINTER, SCHEDULER),
    optional_configs=(BYT5, BYT5_MODEL, *BYT5_TOKENS),
    read_config=read_painter,
    build=painter.build,
    rules=painter.rules,
    weights=(
        Weights(folder="mlp", prefix="mlp/"),
        Weights(folder="connector", prefix="connector/"),
        Weights(folder="transformer", stem="diffusion_pytorch_model", prefix="transformer/"),
        Weights(folder="vae", stem="diffusion_pytorch_model", prefix="vae/"),
        Weights(
            folder="byt5/byt5_model", stem="byt5_model.pt", prefix="byt5_model/", optional=True
        ),
        Weights(
            folder="byt5/byt5_mapper", stem="byt5_mapper.pt", prefix="byt5_mapper/", optional=True
        ),
    ),
    files=("byt5/*.json",),
)

FAMILY = Family(
    name="ming-flash-omni-2.0",
    description="text, pictures, films and sound in; text, speech and pictures out; 100 B",
    parts=(THINKER, VISION, AUDIO, SPEECH, PICTURES),
    default_parts=("thinker", "vision", "audio"),
    recognise=recognise,
    check=check_root,
    assemble=assemble,
    processor=open_processor,
    speech=speech_files,
    files=(*TOKENIZER, "preprocessor_config.json"),
    borrowed={TOKENIZER_LENDER: TOKENIZER},
    source=Source(
        repositories={
            "huggingface": "inclusionAI/Ming-flash-omni-2.0",
            "modelscope": "inclusionAI/Ming-flash-omni-2.0",
        }
    ),
)
