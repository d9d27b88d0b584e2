"""Ming-flash-omni 2.0: its words, its chat template, and what its media look like."""

import json
from pathlib import Path
from typing import Any

from mingle.checkpoints.fields import Fields
from mingle.errors import ConfigError
from mingle.processing.audio import AudioSettings
from mingle.processing.chat import ChatTemplate, MediaTags, RecognitionPrompt
from mingle.processing.image import ImageSettings
from mingle.processing.inputs import Processor
from mingle.processing.tokenizer import Tokenizer
from mingle.processing.video import VideoSettings

TEMPLATE = ChatTemplate(
    system="<role>SYSTEM</role>",
    user="<role>HUMAN</role>",
    assistant="<role>ASSISTANT</role>",
    turn_end="<|role_end|>",
    # "You are a friendly AI assistant."
    default_system="\u4f60\u662f\u4e00\u4e2a\u53cb\u597d\u7684AI\u52a9\u624b\u3002",
    thinking_on="\n\ndetailed thinking on",
    thinking_off="\n\ndetailed thinking off",
    image=MediaTags(start="<image>", patch="<imagePatch>", end="</image>\n"),
    audio=MediaTags(start="<audio>", patch="<audioPatch>", end="</audio>"),
    frame=MediaTags(start="<image>", patch="<framePatch>", end="</image>"),
    film_start="<video>",
    film_end="</video>",
    timestamp="<{seconds:.1f} seconds>",
    reasoning=("<think>", "</think>"),
    stop=("<|role_end|>",),
    recognition=RecognitionPrompt(
        instruction="Please recognize the language of this speech and transcribe it. Format: oral.",
        context="This is an audio about {hint}.",
        hotwords="This audio may contains the following words or phrases:{hint}.",
        separator=",",
        answer="{language}\t",
        languages={"zh": "Chinese", "en": "English"},
    ),
)

VIDEO = VideoSettings(
    min_pixels=128 * 32 * 32,
    total_pixels=96 * 128 * 32 * 32,
    max_frames=170,
)

RELEASED: dict[str, Any] = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "max_pixels": 16_777_216,
    "merge_size": 2,
    "min_pixels": 4096,
    "patch_size": 16,
    "temporal_patch_size": 2,
    "whisper_frontend_args": {"n_mels": 128},
}
"""The released settings; the file that holds them is in the code's repository, not in the model's
(SPEC_PERCEPTION 7, 9)."""

_IMAGE_TOKEN_SIDE = 32  # pixels; the budgets above are counted in tokens of this side


def read_config(raw: dict[str, Any]) -> tuple[ImageSettings, AudioSettings]:
    """Read preprocessor_config.json; raises ConfigError for keys that it does not know."""
    fields = Fields(raw, "preprocessor_config.json")
    image = ImageSettings(
        patch_size=fields.take("patch_size", int),
        temporal_patch=fields.take("temporal_patch_size", int),
        merge=fields.take("merge_size", int),
        min_pixels=fields.take("min_pixels", int),
        max_pixels=fields.take("max_pixels", int),
        max_aspect=200.0,
        mean=_three(fields.take("image_mean", list)),
        std=_three(fields.take("image_std", list)),
    )
    whisper = Fields(fields.take("whisper_frontend_args", dict), "whisper_frontend_args")
    audio = audio_settings(mels=whisper.take("n_mels", int))
    whisper.done()
    fields.expect("sampling_rate", audio.sample_rate_hz)
    fields.expect("use_interleaved_frame_timestamp", True)
    fields.ignore(
        "the legacy fbank front end, which the model cannot use",
        *("chunk_length", "dither", "feature_size", "frame_length", "frame_shift", "inverse_norm"),
        *("lfr_m", "lfr_n", "n_samples", "num_audio_tokens", "up_sample", "wav_frontend_args"),
    )
    fields.ignore(
        "nothing is padded here", "return_attention_mask", "padding_side", "padding_value"
    )
    fields.ignore("stated by the template", "image_token", "video_token", "audio_token")
    fields.ignore(
        "names of official classes",
        *("auto_map", "image_processor_type", "feature_extractor_type", "processor_class"),
    )
    fields.done()
    return image, audio


def audio_settings(mels: int) -> AudioSettings:
    """Whisper's front end: 25 ms windows each 10 ms; two convolutions halve the frames."""
    return AudioSettings(
        sample_rate_hz=16_000,
        window=400,
        hop=160,
        mels=mels,
        max_seconds=300.0,  # 15000 positions after the first convolution of stride 2
        frames_per_token=4,
    )


def build(folder: Path, context_tokens: int, tokenizer_folder: Path) -> Processor:
    """The processor of a checkpoint folder; without its settings, one with the released ones."""
    image, audio = read_settings(folder, RELEASED)
    if image.factor != _IMAGE_TOKEN_SIDE:
        raise ConfigError(
            f"patch_size x merge_size is {image.factor} pixels, expected {_IMAGE_TOKEN_SIDE}"
        )
    return Processor(
        tokenizer=Tokenizer.from_folder(tokenizer_folder),
        template=TEMPLATE,
        image=image,
        video=VIDEO,
        audio=audio,
        context_tokens=context_tokens,
    )


def read_settings(folder: Path, released: dict[str, Any]) -> tuple[ImageSettings, AudioSettings]:
    """Read preprocessor_config.json of a folder; if there is none, the released settings."""
    file = folder / "preprocessor_config.json"
    if not file.exists():
        return read_config(released)
    try:
        return read_config(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{file} cannot be read ({error}); fetch it again") from error


def _three(values: list[Any]) -> tuple[float, float, float]:
    if len(values) != 3:
        raise ConfigError(f"image_mean and image_std have {len(values)} values, expected 3")
    red, green, blue = (float(value) for value in values)
    return red, green, blue
