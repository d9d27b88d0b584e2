"""What is held out: a combination belongs to the held-out split by its name alone, for ever."""

from typing import Literal
from zlib import crc32

Split = Literal["train", "held_out"]
HELD_OUT_SHARE = 10  # one combination in ten


def is_held_out(*names: str) -> bool:
    """Whether this combination of names (a kind and a colour, a word, a voice) is held out."""
    return crc32("/".join(names).encode()) % HELD_OUT_SHARE == 0
