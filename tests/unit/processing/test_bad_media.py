"""Media that cannot be used: each gives one line with what was found, expected, and to do."""

import struct
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import soundfile
from miniature.films import write_film

from mingle.errors import InputError
from mingle.messages import Audio, Image, Part, Request, Video, user

SECOND = np.zeros(16_000, np.float32)


def refusal(processor, part: Part) -> str:
    with pytest.raises(InputError) as caught:
        processor.prepare(Request(messages=(user(part),)))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def png(width: int, height: int) -> bytes:
    file = BytesIO()
    PIL.Image.effect_noise((width, height), 100).save(file, "PNG")
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes whose header promises very many pixels."""
    data = bytearray(png(8, 8))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def wav(samples: np.ndarray, rate: int = 16_000, subtype: str | None = None) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def film(count: int = 50, **options) -> bytes:
    file = BytesIO()
    write_film(file, count, container="mp4", **options)
    return file.getvalue()


MEDIA = {"picture": Image, "recording": Audio, "film": Video}


@pytest.mark.parametrize("kind", MEDIA)
def test_a_missing_file(processor, kind, tmp_path):
    message = refusal(processor, MEDIA[kind](source=tmp_path / "nowhere.bin"))
    assert "nowhere.bin' does not exist; check the path" in message


@pytest.mark.parametrize("kind", MEDIA)
def test_an_empty_file(processor, kind, tmp_path):
    (tmp_path / "empty.bin").touch()
    message = refusal(processor, MEDIA[kind](source=tmp_path / "empty.bin"))
    assert f"empty.bin' is empty (0 bytes); expected an encoded {kind}" in message
    assert "empty (0 bytes)" in refusal(processor, MEDIA[kind](source=b""))


@pytest.mark.parametrize("kind", MEDIA)
def test_a_file_of_another_type(processor, kind, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear reader, this is neither picture nor sound." * 50)
    message = refusal(processor, MEDIA[kind](source=tmp_path / "letter.txt"))
    assert "letter.txt' is not a" in message
    assert "expected" in message


@pytest.mark.parametrize("kind", MEDIA)
def test_an_address_on_the_web(processor, kind):
    message = refusal(processor, MEDIA[kind](source="https://example.org/a.mp4"))
    assert "is a URL; download it" in message


@pytest.mark.parametrize("kind", MEDIA)
@pytest.mark.parametrize("source", [None, 7, {"path": "a.png"}])
def test_an_object_that_is_no_medium(processor, kind, source):
    assert "expected a path, encoded bytes" in refusal(processor, MEDIA[kind](source=source))


def test_a_folder_where_a_file_belongs(processor, tmp_path):
    assert "is a folder; expected a file" in refusal(processor, Image(source=tmp_path))
    assert "is a folder; expected a file" in refusal(processor, Audio(source=str(tmp_path)))


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 5000])
def test_a_name_that_no_file_can_have(processor, name):
    assert len(refusal(processor, Image(source=name))) < 400


# --- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.9])
def test_a_picture_that_is_cut_off(processor, kind, keep):
    file = BytesIO()
    PIL.Image.effect_noise((300, 300), 100).convert("RGB").save(file, kind)
    data = file.getvalue()
    refusal(processor, Image(source=data[: int(len(data) * keep)]))


def test_a_picture_of_a_hundred_megapixels(processor):
    message = refusal(processor, Image(source=PIL.Image.new("L", (10_000, 10_000))))
    assert "has 100 megapixels; at most 80 are taken: make it smaller first" in message


@pytest.mark.parametrize("side", [9_100, 10_000, 60_000])
def test_a_decompression_bomb(processor, side):
    assert "megapixels; at most 80" in refusal(processor, Image(source=bomb(side, side)))


def test_a_picture_of_floats(processor):
    picture = PIL.Image.fromarray(np.zeros((64, 64), np.float32))
    assert "convert it to 8 or 16 bits" in refusal(processor, Image(source=picture))


# --- recordings ----------------------------------------------------------------------------------


def test_a_recording_of_zero_length(processor):
    assert "has no samples" in refusal(processor, Audio(source=wav(np.zeros(0))))
    assert "has no samples" in refusal(processor, Audio(source=(np.zeros(0), 16_000)))


def test_a_recording_too_short_to_hear(processor):
    message = refusal(processor, Audio(source=(np.zeros(80), 16_000)))
    assert "lasts 0.0050 s; at least 0.0126 s are needed" in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_recording_with_numbers_that_are_none(processor, value):
    samples = SECOND.copy()
    samples[500] = value
    assert "not finite" in refusal(processor, Audio(source=(samples, 16_000)))
    assert "not finite" in refusal(processor, Audio(source=wav(samples, subtype="FLOAT")))


def test_a_recording_that_is_cut_off(processor, tmp_path):
    data = wav(SECOND)
    (tmp_path / "cut.wav").write_bytes(data[:9000])
    for source in (data[:9000], tmp_path / "cut.wav"):
        message = refusal(processor, Audio(source=source))
        assert "cut off: 9000 of 32044 bytes are there" in message


def test_a_recording_of_an_hour(processor, tmp_path):
    file = tmp_path / "hour.flac"
    soundfile.write(file, np.zeros(3600 * 1000, np.int16), 1000)
    message = refusal(processor, Audio(source=file))
    assert "lasts 3600 s or more; at most 300 s are taken at once: split it" in message
    assert "lasts 3600 s" in refusal(processor, Audio(source=(np.zeros(3_600_000), 1000)))


@pytest.mark.parametrize("rate", [0, -16_000, 10**9, "16000", None, 16_000.5])
def test_a_sample_rate_that_makes_no_sense(processor, rate):
    assert "expected 1000 to 768000 Hz" in refusal(processor, Audio(source=(SECOND, rate)))


@pytest.mark.parametrize(
    "source", [(SECOND,), (np.array(["a"]), 16_000), (np.zeros((2, 2, 2)), 16_000)]
)
def test_samples_of_the_wrong_shape(processor, source):
    assert "expected" in refusal(processor, Audio(source=source))


def test_a_silent_film_as_a_recording(processor):
    assert "holds no sound; expected a recording" in refusal(processor, Audio(source=film()))


# --- films ---------------------------------------------------------------------------------------


def test_a_folder_or_list_without_frames(processor, tmp_path):
    assert "has no frames; expected at least one" in refusal(processor, Video(source=tmp_path))
    assert "has no frames" in refusal(processor, Video(source=[]))


def test_a_folder_with_a_file_that_is_no_picture(processor, tmp_path):
    PIL.Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "b.txt").write_text("no picture")
    assert "b.txt' is not a picture" in refusal(processor, Video(source=tmp_path))


def test_a_recording_as_a_film(processor):
    assert "holds no pictures; expected a film" in refusal(processor, Video(source=wav(SECOND)))


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_a_film_that_is_cut_off(processor, keep):
    data = film()
    assert "not a whole film" in refusal(processor, Video(source=data[: int(len(data) * keep)]))


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_film_that_is_cut_off_after_its_index(processor, keep, tmp_path):
    file = tmp_path / "film.mp4"
    write_film(file, 50, g="5", movflags="faststart")
    data = file.read_bytes()
    message = refusal(processor, Video(source=data[: int(len(data) * keep)]))
    assert "is cut off" in message


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"frames_per_second": 0.0}, "expected more than 0"),
        ({"frames_per_second": float("nan")}, "expected more than 0"),
        ({"max_frames": 0}, "expected 1 or more"),
        ({"size": (0, 64)}, "expected (height, width)"),
    ],
)
def test_wishes_that_make_no_sense(processor, wishes, message):
    assert message in refusal(processor, Video(source=film(5), **wishes))


def test_a_film_longer_than_the_context(processor):
    frames = [PIL.Image.new("RGB", (512, 288), (n, n, n)) for n in range(10)]
    message = refusal(replace(processor, context_tokens=700), Video(source=frames))
    assert "the prompt has" in message
    assert "fewer, smaller or shorter media" in message


def test_nothing_is_left_behind(processor, tmp_path: Path):
    (tmp_path / "cut.mp4").write_bytes(film()[:2000])
    refusal(processor, Video(source=tmp_path / "cut.mp4"))
    assert [path.name for path in tmp_path.iterdir()] == ["cut.mp4"]
