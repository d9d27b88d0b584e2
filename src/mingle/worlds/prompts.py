"""Real recordings: the telephone prompts of Debian's `asterisk-core-sounds-en-g722` (CC-BY-SA-3.0).

Spoken by Allison Smith, 16 kHz. What is said stands in `prompts.tsv` beside this file: name, split
and words. Prompts of almost the same words are on the same side of the split.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float32

from mingle.errors import CapacityError
from mingle.worlds.split import Split

FOLDER = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TABLE = Path(__file__).with_name("prompts.tsv")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One recording at 16 kHz: its file's name without suffix, its normalised words."""

    name: str
    text: str
    samples: Float32[np.ndarray, " samples"]


@cache
def texts(split: Split) -> tuple[tuple[str, str], ...]:
    """(name, words) of the split's prompts. Those held out have three words or more."""
    rows = (line.split("\t") for line in TABLE.read_text("ascii").splitlines())
    return tuple((name, words) for name, part, words in rows if part == split)


def load(split: Split) -> list[Prompt]:
    """The split's recordings. Raises CapacityError when the package is not installed."""
    if not FOLDER.is_dir():
        raise CapacityError(
            f"the prompts are not at {FOLDER}; install Debian's asterisk-core-sounds-en-g722"
        )
    return [
        Prompt(name=name, text=text, samples=_read(FOLDER / f"{name}.g722"))
        for name, text in texts(split)
    ]


def _read(path: Path) -> Float32[np.ndarray, " samples"]:
    with av.open(str(path), format="g722") as file:
        pieces = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return np.concatenate(pieces).astype(np.float32) / 32768
