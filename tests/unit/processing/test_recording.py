"""Recordings: any container, rate and channel count gives the sound that was put in."""

from io import BytesIO

import av
import numpy as np
import pytest
import soundfile

from mingle.processing.recording import Recording, decode_recording

RATE = 48_000
SECONDS = 1.0


def tone(rate: int = RATE, hertz: float = 440.0, seconds: float = SECONDS) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(
        np.float32
    )


def encoded(samples: np.ndarray, rate: int, kind: str, subtype: str | None = None) -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def contained(samples: np.ndarray, rate: int, codec: str, container: str) -> bytes:
    """One channel in a container that libsndfile does not read."""
    file = BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return file.getvalue()


def strength(samples: np.ndarray, rate: int, hertz: float) -> float:
    """Amplitude of one frequency in the middle half, where codecs have settled."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    wave = np.exp(-2j * np.pi * hertz * np.arange(len(middle)) / rate)
    return float(2 * np.abs((middle * wave).mean()))


@pytest.mark.parametrize(
    ("kind", "subtype", "step"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "FLOAT", 1e-9),
        ("FLAC", "PCM_24", 2**-23),
        ("AIFF", "PCM_16", 2**-15),
    ],
)
def test_lossless_files_give_the_samples_back(kind, subtype, step):
    recording = decode_recording(encoded(tone(), RATE, kind, subtype))
    assert recording.sample_rate_hz == RATE
    np.testing.assert_allclose(recording.samples, tone(), atol=step)


@pytest.mark.parametrize(
    "data",
    [
        encoded(tone(), RATE, "MP3"),
        encoded(tone(), RATE, "OGG", "VORBIS"),
        encoded(tone(), RATE, "OGG", "OPUS"),
        contained(tone(), RATE, "aac", "mp4"),
        contained(tone(), RATE, "libopus", "webm"),
        contained(tone(), RATE, "libmp3lame", "matroska"),
    ],
    ids=["mp3", "vorbis", "opus", "aac in mp4", "opus in webm", "mp3 in mkv"],
)
def test_lossy_files_give_the_tone_back(data):
    recording = decode_recording(data)
    assert recording.sample_rate_hz == RATE
    assert recording.seconds == pytest.approx(SECONDS, abs=0.06)  # codecs add whole blocks
    assert strength(recording.samples, RATE, 440) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_all_channels_are_mixed(channels):
    parts = [tone(hertz=300 + 100 * channel) for channel in range(channels)]
    recording = decode_recording(encoded(np.stack(parts, axis=1), RATE, "WAV"))
    for channel in range(channels):
        found = strength(recording.samples, RATE, 300 + 100 * channel)
        assert found == pytest.approx(0.5 / channels, abs=1e-3)


def test_sound_comes_from_a_film(tmp_path):
    file = tmp_path / "film.mp4"
    with av.open(str(file), "w") as out:
        video = out.add_stream("libx264", rate=10)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        audio = out.add_stream("aac", rate=RATE, layout="mono")
        picture = np.zeros((32, 32, 3), np.uint8)
        for _ in range(10):
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        frame = av.AudioFrame.from_ndarray(tone()[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        out.mux(audio.encode(frame))
        out.mux(audio.encode())
        out.mux(video.encode())
    recording = decode_recording(file)
    assert strength(recording.samples, RATE, 440) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("samples", "first"),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1, 0, 0.5]),
        (np.array([0, 128, 192], np.uint8), [-1, 0, 0.5]),
        (np.array([[0.5, 0.25], [1, 0], [0, 0]], np.float64), [0.375, 0.5, 0]),
        (np.array([[0.5, 1, 0], [0.25, 0, 0]], np.float32), [0.375, 0.5, 0]),
    ],
    ids=["int16", "int32", "uint8", "samples first", "channels first"],
)
def test_samples_in_memory_are_scaled_and_mixed(samples, first):
    recording = decode_recording((samples, 16_000))
    assert recording.samples.tolist() == first


def test_a_recording_is_taken_as_it_is():
    recording = Recording(samples=tone(), sample_rate_hz=RATE)
    assert np.array_equal(decode_recording(recording).samples, tone())
