"""What the task `omni` is told: the model to start from, the manifests, the lessons."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mingle.training.examples import Example
from mingle.training.manifests import Source

Lesson = Literal["text", "paint", "speak", "stop", "image_vae", "audio_vae"]


@dataclass(frozen=True, kw_only=True)
class OmniStart:
    """The model to train on: its name or folder, and which parts of it are loaded."""

    start: str
    parts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OmniData:
    """Mixed manifests, packed into batches of about `budget` tokens from a window of samples.

    `lessons` are the losses to compute. Each picture and each patch of speech is noised `draws`
    times: the condition, which is dear, is computed once. Times are uniform with `time_shift` 1;
    a greater one draws more of them near the noise, where only the condition can tell what to
    make, as a sampler's schedule of that shift does. Autoencoders hear `crop_latents` of a
    recording at a time. `condition_drop` is the share of pictures and of speech
    patches that are trained without their condition, for guidance; `history_drop` the share of
    utterances whose patches are learnt without those before them, so that the text has to tell.
    So many examples are kept in memory when they are read (`keep`): a small set is read once.
    `max_bad` is the share of records that may be unusable; they are listed in `quarantine`.
    """

    sources: tuple[Source, ...]
    lessons: tuple[Lesson, ...]
    budget: int
    window: int
    draws: int
    time_shift: float
    crop_latents: int
    condition_drop: float
    history_drop: float
    max_bad: float
    keep: int = 0
    quarantine: Path | None = None


def counts(examples: Sequence[Example], lessons: Sequence[Lesson]) -> dict[str, int]:
    """How many items each lesson of a batch is a mean over."""
    answers = sum(end - start for e in examples for start, end in e.answers)
    pictures = sum(e.painting is not None for e in examples)
    spoken = sum(e.utterance is not None for e in examples)
    found = {
        "text": answers,
        "paint": pictures,
        "speak": spoken,
        "stop": spoken,
        "image_vae": pictures,
        "audio_vae": spoken,
    }
    return {name: found[name] for name in lessons}
