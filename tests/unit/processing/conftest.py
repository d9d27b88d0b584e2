"""The official template and media sizes over a byte tokenizer: ids differ, all else is real."""

import pytest
from miniature.words import definition

from mingle.checkpoints.flash_omni_2.processor import TEMPLATE, VIDEO, audio_settings
from mingle.processing.image import ImageSettings
from mingle.processing.inputs import Processor
from mingle.processing.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def processor() -> Processor:
    return Processor(
        tokenizer=Tokenizer(definition()),
        template=TEMPLATE,
        image=ImageSettings(
            patch_size=16,
            temporal_patch=2,
            merge=2,
            min_pixels=4096,
            max_pixels=16_777_216,
            max_aspect=200.0,
            mean=(0.48145466, 0.4578275, 0.40821073),
            std=(0.26862954, 0.26130258, 0.27577711),
        ),
        video=VIDEO,
        audio=audio_settings(mels=128),
        context_tokens=32_768,
    )
