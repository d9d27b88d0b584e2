"""nano's words, its chat template (ChatML, as the base was tuned), and what its media look like."""

from collections.abc import Mapping, Sequence
from typing import Any

from mingle.checkpoints.nano.config import NanoConfig
from mingle.errors import CheckpointError
from mingle.processing.audio import AudioSettings
from mingle.processing.chat import ChatTemplate, MediaTags, RecognitionPrompt
from mingle.processing.image import ImageSettings
from mingle.processing.inputs import Processor
from mingle.processing.tokenizer import Tokenizer
from mingle.processing.video import VideoSettings

CONTROL = 3  # GGUF token type: a token that text never makes, only the template

TEMPLATE = ChatTemplate(
    system="<|im_start|>system\n",
    user="<|im_start|>user\n",
    assistant="<|im_start|>assistant\n",
    turn_end="<|im_end|>\n",
    default_system="You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    thinking_on="",  # the base was never tuned to think aloud: nothing to switch
    thinking_off="",
    image=MediaTags(start="<image>", patch="<imagePatch>", end="</image>"),
    audio=MediaTags(start="<audio>", patch="<audioPatch>", end="</audio>"),
    frame=MediaTags(start="<image>", patch="<framePatch>", end="</image>"),
    film_start="<video>",
    film_end="</video>",
    timestamp="<{seconds:.1f} seconds>",
    reasoning=("<think>", "</think>"),
    stop=("<|im_end|>", "<|endoftext|>"),
    recognition=RecognitionPrompt(
        instruction="Write down what is said.",
        context="This is about {hint}.",
        hotwords="These words may be said: {hint}.",
        separator=", ",
        answer="",
        languages={"en": "English"},
    ),
    words_first=True,  # media that stand behind the words can be searched for what is asked
)

IMAGE = ImageSettings(
    patch_size=8,
    temporal_patch=2,
    merge=2,
    min_pixels=64 * 64,
    max_pixels=64 * 64,  # 16 tokens: what its eyes were trained on
    max_aspect=8.0,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
VIDEO = VideoSettings(
    min_pixels=64 * 64,
    total_pixels=64 * 64,  # so small a budget leaves every frame the least: 16 tokens a pair
    max_frames=16,  # its films were of 3 and 4 s; shown many more, it says nothing
)
AUDIO = AudioSettings(
    sample_rate_hz=16_000,
    window=400,
    hop=160,
    mels=80,
    max_seconds=30.0,  # Whisper's own window
    frames_per_token=4,
)


def build(metadata: Mapping[str, Any], config: NanoConfig) -> Processor:
    """The processor, its words from the metadata of the base's GGUF. Raises CheckpointError."""
    return Processor(
        tokenizer=Tokenizer(tokenizer_definition(metadata, config.media_tokens)),
        template=TEMPLATE,
        image=IMAGE,
        video=VIDEO,
        audio=AUDIO,
        context_tokens=config.thinker.max_positions,
    )


def tokenizer_definition(
    metadata: Mapping[str, Any], media_tokens: Sequence[str]
) -> dict[str, Any]:
    """What a tokenizer.json would hold: byte-level BPE, each digit alone; media tokens last.

    Raises CheckpointError when the metadata describe another kind of tokenizer.
    """
    kind = (metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre"))
    if kind != ("gpt2", "smollm"):
        raise CheckpointError(
            f"the base's tokenizer is {kind[0]}/{kind[1]}, expected gpt2/smollm; "
            "is it another model's file? run: mingle pull nano"
        )
    tokens = metadata["tokenizer.ggml.tokens"]
    types = metadata["tokenizer.ggml.token_type"]
    control = {i: token for i, token in enumerate(tokens) if types[i] == CONTROL}
    special = control | dict(enumerate(media_tokens, start=len(tokens)))
    return {
        "added_tokens": [{"id": i, "content": t, "special": True} for i, t in special.items()],
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {
                    "type": "ByteLevel",
                    "add_prefix_space": False,
                    "trim_offsets": True,
                    "use_regex": True,
                },
            ],
        },
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": metadata["tokenizer.ggml.merges"],
        },
    }
