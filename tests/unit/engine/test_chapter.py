"""Long texts into files: resumed equals uninterrupted, in bounded memory."""

import resource

import numpy as np
import pytest
from miniature.speech import tiny_speaker

from mingle.engine.chapter import Chapter, count_pieces, write_chapter, write_speech
from mingle.engine.speak import SpeakOptions
from mingle.errors import CapacityError, InputError
from mingle.processing.recording import decode_recording

TEXT = "This is the first sentence of it. And here the second one follows. " * 2


class Interrupted(Exception):  # noqa: N818 - it is none of ours
    """Ctrl-C in the middle."""


@pytest.fixture
def speaker(tmp_path):
    return tiny_speaker(tmp_path)


def interrupt_after(pieces):
    done = []

    def count():
        done.append(1)
        if len(done) == pieces:
            raise Interrupted

    return count


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_resumed_chapter_equals_an_uninterrupted_one(speaker, tmp_path, pieces):
    out = tmp_path / "out"
    out.mkdir()
    whole, parts = out / "whole.wav", out / "parts.wav"
    chapter = Chapter(text=TEXT, options=SpeakOptions(sample_rate_hz=12000))
    write_chapter(speaker, chapter, whole)
    with pytest.raises(Interrupted):
        write_chapter(speaker, chapter, parts, on_piece=interrupt_after(pieces))
    assert not parts.exists()
    written = write_chapter(speaker, chapter, parts)
    assert written.sample_rate_hz == 12000
    assert np.array_equal(decode_recording(parts).samples, decode_recording(whole).samples)
    assert sorted(file.name for file in out.iterdir()) == ["parts.wav", "whole.wav"]


def test_a_disk_that_fills_up_keeps_what_was_spoken(speaker, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    chapter = Chapter(text=TEXT)
    whole = write_chapter(speaker, chapter, out / "whole.wav")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    room = int(whole.seconds * whole.sample_rate_hz) * 2  # half of what the samples take
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(CapacityError, match="goes on after the last whole piece"):
            write_chapter(speaker, chapter, out / "parts.wav")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    write_chapter(speaker, chapter, out / "parts.wav")
    parts, one = (decode_recording(out / name).samples for name in ("parts.wav", "whole.wav"))
    assert np.array_equal(parts, one)


def test_another_text_starts_anew(speaker, tmp_path):
    file = tmp_path / "out.wav"
    with pytest.raises(Interrupted):
        write_chapter(speaker, Chapter(text=TEXT), file, on_piece=interrupt_after(3))
    counted = []
    other = Chapter(text="Something else is said in here.")
    write_chapter(speaker, other, file, on_piece=lambda: counted.append(1))
    assert len(counted) == 1


def test_pieces_are_counted_before_they_are_spoken(speaker, tmp_path):
    counted = []
    chunks = speaker.speak(TEXT)
    write_speech(chunks, tmp_path / "out.flac", on_piece=lambda: counted.append(1))
    assert count_pieces(TEXT, SpeakOptions()) == len(counted) == 4
    with pytest.raises(InputError, match="nothing to say"):
        count_pieces("...", SpeakOptions())


def test_an_interrupted_file_leaves_nothing(speaker, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(Interrupted):
        write_speech(speaker.speak(TEXT), out / "a.mp3", on_piece=interrupt_after(2))
    assert list(out.iterdir()) == []


def test_a_chapter_is_cut_into_pieces_that_fit():
    text = "The old house stood at the end of the lane, where nobody ever went. " * 100
    assert count_pieces(text, SpeakOptions()) == 1 + 100  # the first sentence is cut at its comma
