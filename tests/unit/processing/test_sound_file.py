"""Sound files: every format plays, and none is ever half written."""

import resource
from io import BytesIO

import numpy as np
import pytest

from mingle.errors import CapacityError, InputError
from mingle.processing.recording import decode_recording
from mingle.processing.sound_file import (
    FORMATS,
    SoundWriter,
    carried_rate,
    encode_sound,
    format_of,
)

TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(24000) / 24000)).astype(np.float32)


def pitch_of(samples, rate):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pcm"])
def test_a_written_tone_is_heard_again(tmp_path, name):
    file = tmp_path / f"tone.{name}"
    with SoundWriter(file, name, 24000) as writer:
        for piece in np.array_split(TONE, 7):
            writer.write(piece)
    heard = decode_recording(file)
    assert heard.seconds == pytest.approx(1.0, abs=0.1)  # coders add a little silence
    assert pitch_of(heard.samples, heard.sample_rate_hz) == pytest.approx(440, abs=3)
    assert list(tmp_path.iterdir()) == [file]


def test_raw_samples_are_16_bit_little_endian():
    raw = encode_sound(np.array([0.0, 0.5, -1.0, 2.0], np.float32), 24000, "pcm")
    assert np.frombuffer(raw, "<i2").tolist() == pytest.approx([0, 16384, -32768, 32767], abs=1)


def test_an_error_leaves_no_file_and_keeps_the_old_one(tmp_path):
    file = tmp_path / "old.wav"
    file.write_bytes(b"old")
    with pytest.raises(ValueError, match="broadcast"), SoundWriter(file, "wav", 24000) as writer:
        writer.write(TONE + TONE[:7])
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "opus", "aac"])
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(tmp_path, ending):
    noise = np.random.default_rng(0).uniform(-1, 1, 12 * 24000).astype(np.float32)
    file = tmp_path / f"a.{ending}"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))  # as if no more were free
    try:
        with (
            pytest.raises(CapacityError, match=f"a.{ending} cannot be written"),
            SoundWriter(file, ending, 24000) as writer,
        ):
            writer.write(noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_sound_in_memory_is_a_whole_file():
    heard = decode_recording(encode_sound(TONE, 24000, "flac"))
    np.testing.assert_allclose(heard.samples, TONE, atol=1e-4)


def test_a_rate_that_a_format_cannot_carry_is_raised():
    assert carried_rate("opus", 44100) == 48000
    assert carried_rate("opus", 24000) == 24000
    assert carried_rate("wav", 44100) == 44100
    assert carried_rate("mp3", 96000) == 48000


def test_unknown_endings_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.xyz"):
        format_of(tmp_path / "a.xyz")
    with pytest.raises(InputError, match="no folder"):
        SoundWriter(tmp_path / "none" / "a.wav", "wav", 8000)
    with pytest.raises(InputError, match="format 'wma'"):
        SoundWriter(BytesIO(), "wma", 8000)
