"""What the talker reads: text, speakers, style and a recording, as one row of embeddings."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mingle.talker.model import Talker

SPEECH = "Please generate speech based on the following description.\n"
SOUND = "Please generate audio events based on given text.\n"
MUSIC = "Please generate music based on the following description.\n"

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
MUSIC_WORDS = ("Genre: ", "Mood: ", "Instrument: ", "Theme: ", "Duration: ")

Encode = Callable[[str], list[int]]


@dataclass(frozen=True, kw_only=True)
class Script:
    """One thing to say. The recording's patches count only together with its transcript."""

    task: str = SPEECH
    text: str
    num_speakers: int = 0
    instruction: str | None = None
    transcript: str | None = None
    num_patches: int = 0


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Token ids, and where embeddings are written over: one slot a speaker, one a patch."""

    ids: tuple[int, ...]
    speaker_slots: tuple[int, ...]
    patch_slots: tuple[int, ...]


def lay_out(script: Script, encode: Encode, encode_text: Encode) -> Layout:
    """Assemble the prompt piece by piece; `encode` knows control tokens, `encode_text` does not."""
    ids: list[int] = []
    speaker_slots: list[int] = []

    def add(*pieces: str) -> None:
        for piece in pieces:
            ids.extend(encode(piece))

    add(SYSTEM, "<|im_start|>user\n", script.task)
    for number in range(1, script.num_speakers + 1):
        add(f"  speaker_{number}:", "<|vision_start|>")
        speaker_slots.append(len(ids))
        add("<|vision_pad|>", "<|vision_end|>\n")
    if not all(word in script.text for word in MUSIC_WORDS):
        add(" Text input:\n")
    cloned = script.transcript is not None and script.num_patches > 0
    if cloned:
        ids.extend(encode_text(script.transcript or ""))
    ids.extend(encode_text(script.text))
    add("<|im_end|>\n", "<|im_start|>assistant\n")
    if script.instruction is not None:
        ids.extend(encode_text(script.instruction))
        add("<|im_end|>")
    add("<audio>")
    first = len(ids)
    if cloned:
        add(*["<audioPatch>"] * script.num_patches)
    slots = tuple(range(first, first + script.num_patches)) if cloned else ()
    return Layout(ids=tuple(ids), speaker_slots=tuple(speaker_slots), patch_slots=slots)


def embed(
    talker: Talker,
    layout: Layout,
    speakers: Float[Tensor, "speakers dim"],
    patches: Float[Tensor, "patches dim"],
) -> Float[Tensor, "tokens dim"]:
    """The layout's embeddings with speakers and patches (at the model's width) in their slots."""
    device = talker.like.device
    embedded = talker.token_embedding(torch.tensor(layout.ids, device=device))
    assert len(layout.speaker_slots) == speakers.shape[0], (layout.speaker_slots, speakers.shape)
    embedded = embedded.index_copy(0, _index(layout.speaker_slots, device), speakers)
    used = patches[: len(layout.patch_slots)]
    return embedded.index_copy(0, _index(layout.patch_slots, device), used)


def _index(slots: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(slots, dtype=torch.long, device=device)
