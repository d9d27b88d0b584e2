"""The miniature's tokenizer: one token a byte, and the official special tokens with small ids."""

import json
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

SPECIAL = (
    "<|startoftext|>",
    "<|endoftext|>",
    "[CLS]",
    "[gMASK]",
    "<|role_end|>",
    "<role>",
    "</role>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<imagePatch>",
    "<image>",
    "</image>",
    "<video>",
    "</video>",
    "<audioPatch>",
    "<audio>",
    "</audio>",
    "<framePatch>",
    "<text>",
    "<asr>",
    "<tts>",
)
TALKER_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<audio>",
    "</audio>",
    "<audioPatch>",
)
NUM_BYTES = 256
VOCAB_SIZE = 288  # bytes and special tokens, rounded up
TALKER_VOCAB_SIZE = NUM_BYTES + len(TALKER_SPECIAL)


def token_id(token: str) -> int:
    """The id of a special token of the thinker."""
    return NUM_BYTES + SPECIAL.index(token)


def write_tokenizer(folder: Path, special: tuple[str, ...] = SPECIAL) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(definition(special)), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({}), encoding="utf-8")


def definition(special: tuple[str, ...] = SPECIAL) -> dict[str, Any]:
    """The content of a tokenizer.json."""
    names = [*sorted(ByteLevel.alphabet()), *special]
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": NUM_BYTES + number, "content": token, "special": True, **added}
            for number, token in enumerate(special)
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {name: number for number, name in enumerate(names)},
            "merges": [],
        },
    }
