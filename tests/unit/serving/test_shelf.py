"""Voices that were added: kept, found again, deleted, and refused."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mingle.engine.assistant import Assistant
from mingle.errors import CapacityError, CheckpointError, InputError
from mingle.processing.recording import Recording
from mingle.serving.faults import AbsentError
from mingle.serving.shelf import Added, Shelf
from mingle.talker.voice import Voice

SOUND = Recording(
    samples=(0.1 * np.sin(np.arange(24_000))).astype(np.float32), sample_rate_hz=16_000
)


def named(name: str) -> Voice:
    return Voice(name=name, speakers=torch.zeros(1, 4))


class Voices:
    """Clones anybody; remembers of whom."""

    def __init__(self):
        self.cloned = []

    def clone(self, recordings, *, transcript=None, name="clone"):
        self.cloned.append((name, transcript, recordings[0].seconds))
        return named(name)


def shelf(folder: Path | None) -> tuple[Shelf, Voices]:
    voices = Voices()
    speech = SimpleNamespace(
        voices=voices,
        files=SimpleNamespace(presets={"preset": None}),
        voice=lambda name: named(name or "the model's own"),
    )
    assistant = Assistant.__new__(Assistant)
    assistant.__dict__.update(speech=speech, folder=SimpleNamespace(parts=("talker",)))
    return Shelf(assistant, folder), voices


def anna(name: str = "Anna") -> Added:
    return Added(name=name, consent="she said so", ref_text="hello", description="", created_at=1)


def test_an_added_voice_survives_a_restart(tmp_path):
    first, _ = shelf(tmp_path / "voices")
    first.add(anna(), SOUND)
    second, voices = shelf(tmp_path / "voices")
    assert second.added["Anna"] == anna()
    assert second.voice("Anna") is second.voice("Anna")
    assert second.voice("Anna").name == "Anna"
    assert voices.cloned == [("Anna", "hello", pytest.approx(1.5))]  # once, from the file


def test_a_deleted_voice_leaves_no_file(tmp_path):
    kept, _ = shelf(tmp_path)
    kept.add(anna(), SOUND)
    assert len(list(tmp_path.iterdir())) == 2
    kept.remove("Anna")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AbsentError):
        kept.voice("Anna")
    with pytest.raises(AbsentError):
        kept.remove("Anna")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "a\nb", "nul\0"])
def test_names_that_are_no_names_are_refused(tmp_path, name):
    kept, _ = shelf(tmp_path)
    with pytest.raises(InputError):
        kept.add(anna(name), SOUND)
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_is_refused(tmp_path):
    kept, _ = shelf(tmp_path)
    kept.add(anna(), SOUND)
    for name in ("Anna", "preset", "default"):
        with pytest.raises(InputError, match="already"):
            kept.add(anna(name), SOUND)


def test_a_disk_that_takes_nothing_is_told_and_nothing_is_kept():
    kept, _ = shelf(Path("/dev/null/voices"))
    with pytest.raises(CapacityError, match="cannot be kept"):
        kept.add(anna(), SOUND)
    assert not kept.added


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"x\.json"):
        shelf(tmp_path)


def test_without_a_folder_voices_live_in_memory():
    kept, _ = shelf(None)
    kept.add(anna(), SOUND)
    assert kept.voice("Anna").name == "Anna"
    assert kept.voice(None).name == kept.voice("default").name == "the model's own"
