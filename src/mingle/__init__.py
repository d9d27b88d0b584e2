"""Mingle: an independent implementation of Ming, inclusionAI's omni-modal models.

`mingle.load("nano").chat("Hello")` is the whole of the beginner's interface.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mingle.engine.assistant import Assistant

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(name_or_folder: str | Path = "nano", **options: Any) -> "Assistant":
    """Load a model by name or from a folder. See `mingle.engine.assistant.load` for the options."""
    from mingle.engine.assistant import load as load_assistant  # torch is imported only here

    return load_assistant(name_or_folder, **options)
