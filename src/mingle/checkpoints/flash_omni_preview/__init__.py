"""The family Ming-flash-omni Preview, as far as public facts go: text, pictures and sound in.

Thinker and audio tower are those of 2.0 with other numbers; the vision tower is another one. Its
talker, its painter and its films are not here; docs/families.md says what is certain.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mingle.checkpoints import flash_omni_2
from mingle.checkpoints.family import Family, PartSpec, RawConfigs, Source, Weights
from mingle.checkpoints.flash_omni_2 import processor, thinker
from mingle.checkpoints.flash_omni_preview import vision
from mingle.processing.inputs import Processor
from mingle.processing.tokenizer import Tokenizer

ROOT = flash_omni_2.ROOT
VISION_TYPE = "qwen2_5_vit"
RELEASED = {
    **processor.RELEASED,
    "max_pixels": 2_007_040,
    "min_pixels": 78_400,
    "patch_size": 14,
}
"""The released preprocessor settings, where they differ from those of 2.0."""


def recognise(config: Mapping[str, Any]) -> bool:
    """Whether a root config.json is of this family: the vision tower tells it from 2.0."""
    tower = config.get("vision_config") or {}
    return (
        config.get("model_type") == flash_omni_2.MODEL_TYPE
        and tower.get("model_type") == VISION_TYPE
    )


def open_processor(folder: Path, raw: RawConfigs) -> Processor:
    """The processor of a checkpoint folder; it refuses films."""
    image, audio = processor.read_settings(folder, RELEASED)
    return Processor(
        tokenizer=Tokenizer.from_folder(folder),
        template=processor.TEMPLATE,
        image=image,
        video=None,
        audio=audio,
        context_tokens=thinker.read_config(raw[ROOT]).max_positions,
    )


VISION = PartSpec(
    name="vision",
    configs=(ROOT,),
    read_config=lambda raw: vision.read_config(raw[ROOT]),
    build=vision.build,
    rules=vision.rules,
    weights=(Weights(),),
)

FAMILY = Family(
    name="ming-flash-omni-preview",
    description="the release before 2.0: text, pictures and sound in, text out; 100 B",
    parts=(flash_omni_2.THINKER, VISION, flash_omni_2.AUDIO),
    default_parts=("thinker", "vision", "audio"),
    recognise=recognise,
    check=flash_omni_2.check_root,
    assemble=flash_omni_2.assemble,
    processor=open_processor,
    files=(*flash_omni_2.TOKENIZER, "preprocessor_config.json"),
    source=Source(
        repositories={
            "huggingface": "inclusionAI/Ming-flash-omni-Preview",
            "modelscope": "inclusionAI/Ming-flash-omni-Preview",
        }
    ),
)
