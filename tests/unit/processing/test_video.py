"""Films: the right frames at the right times, from files, folders and lists, in little memory."""

import struct
import tracemalloc
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from miniature.films import number_of, numbered_frame, write_film

from mingle.messages import Video
from mingle.processing import footage
from mingle.processing.footage import open_film, open_listed
from mingle.processing.video import film_size, prepare_film, sample_film, sample_listed

SLOW_KEYS = {"g": "250", "bf": "3", "sc_threshold": "0"}  # one key frame in 250, B-frames


def picked(source, indices) -> list[int]:
    return [number_of(frame) for frame in open_film(source).frames(indices)]


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("libx264", "mp4", SLOW_KEYS),
        ("libx264", "mkv", {"g": "12", "bf": "2"}),
        ("libx264", "mov", {"g": "1"}),
        ("mpeg4", "avi", {"g": "12"}),
        ("libvpx-vp9", "webm", {"g": "30", "deadline": "realtime", "cpu-used": "8"}),
        ("mpeg4", "mp4", {"g": "30", "bf": "2"}),
    ],
)
def test_frames_are_found_by_number_in_every_container(tmp_path, codec, suffix, options):
    file = tmp_path / f"film.{suffix}"
    write_film(file, 300, codec=codec, **options)
    assert open_film(file).count == 300
    assert open_film(file).frames_per_second == 25.0
    for wanted in ([0, 1, 13, 14, 120, 121, 249, 250, 251, 299], [299], [150, 298]):
        assert picked(file, wanted) == wanted


def test_a_film_in_memory_is_read_like_a_file():
    data = BytesIO()
    write_film(data, 60, container="mp4", **{"g": "20"})
    assert picked(data.getvalue(), [0, 25, 59]) == [0, 25, 59]


def test_frames_without_even_spacing_are_counted_not_timed(tmp_path):
    file = tmp_path / "uneven.mp4"
    times = [round(n + 4 * np.sin(n / 3)) + 5 * n for n in range(80)]
    write_film(file, 80, times=times, **{"g": "10", "bf": "2"})
    assert open_film(file).count == 80
    assert picked(file, [0, 7, 33, 79]) == [0, 7, 33, 79]


def test_a_container_without_times_is_read_by_counting(tmp_path):
    file = tmp_path / "raw.h264"
    write_film(file, 50, container="h264", **{"g": "10", "bf": "0"})
    assert open_film(file).count == 50
    assert picked(file, [0, 9, 10, 49]) == [0, 9, 10, 49]


def test_an_hour_of_film_is_sampled_by_seeking(tmp_path, processor, monkeypatch):
    file = tmp_path / "hour.mp4"
    write_film(file, 3600, rate=1, codec="mpeg4", **{"g": "10"})
    decoded = []
    read_next = footage._next_at

    def counting(frames, wanted):
        return read_next((decoded.append(1) or frame for frame in frames), wanted)

    monkeypatch.setattr(footage, "_next_at", counting)
    tracemalloc.start()
    film = prepare_film(Video(source=file, max_frames=8), processor.image, processor.video)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert film.seconds == (225.0, 1125.0, 2025.0, 2925.0)  # frames i, i + 1 at i * 450 s
    assert len(decoded) < 8 * 20  # of 3600
    features = sum(patches.values.nbytes for patches in film.pairs)
    assert peak < 3 * features + 50e6


def test_an_upright_phone_film_is_turned(tmp_path):
    file = tmp_path / "phone.mp4"
    write_film(file, 3)
    data = bytearray(file.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # after version, times, ids, layer, volume
    a, d = struct.unpack(">i", data[matrix : matrix + 4])[0], 1 << 16
    assert a == d  # the identity, as written
    quarter_turn = (0, d, 0, -d, 0, 0, 0, 0, 1 << 30)  # clockwise, as phones write it
    data[matrix : matrix + 36] = struct.pack(">9i", *quarter_turn)
    (frame,) = open_film(bytes(data)).frames([1])
    assert frame.shape == (128, 32, 3)
    assert number_of(np.rot90(frame)) == 1  # turned back, counter-clockwise


def test_sampling_includes_the_first_and_last_frame():
    sample = sample_film(250, 25.0, wished=2.0, max_frames=170)
    assert sample.indices[:3] == (0, 13, 26)
    assert sample.indices[-1] == 249
    assert sample.seconds[1] == 0.5
    assert len(sample_film(90_000, 25.0, wished=2.0, max_frames=170).indices) == 170
    assert sample_film(1, 25.0, wished=2.0, max_frames=170).indices == (0,)


def test_a_list_is_taken_whole_up_to_the_limit():
    assert sample_listed(5, 2.0, 170).seconds == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert sample_listed(9, 2.0, 3).indices == (0, 4, 8)
    assert sample_listed(9, 2.0, 3).seconds == (0.0, 2.0, 4.0)


def test_size_follows_the_shared_budget(processor):
    sizes = [
        film_size(*shape, frames, processor.image, processor.video)
        for *shape, frames in [(68, 120, 5), (480, 640, 8), (1080, 1920, 64), (720, 1280, 170)]
    ]
    assert sizes == [(288, 512), (480, 640), (448, 832), (288, 512)]


def save_frames(folder: Path, names: list[str]) -> None:
    for number, name in enumerate(names):
        PIL.Image.fromarray(numbered_frame(number)).save(folder / name)


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path, processor):
    save_frames(tmp_path, [f"frame{n}.png" for n in range(12)])
    (tmp_path / ".hidden").write_text("not a frame")
    frames = open_listed(tmp_path).frames(range(12))
    assert [number_of(frame) for frame in frames] == list(range(12))
    film = prepare_film(
        Video(source=tmp_path, frames_per_second=1.0, size=(32, 64)),
        processor.image,
        processor.video,
    )
    assert film.seconds == (0.5, 2.5, 4.5, 6.5, 8.5, 10.5)


def test_lists_of_pictures_arrays_paths_and_bytes_are_films(tmp_path):
    save_frames(tmp_path, ["a.png", "b.png"])
    mixed = [
        tmp_path / "a.png",
        (tmp_path / "b.png").read_bytes(),
        numbered_frame(2),
        PIL.Image.fromarray(numbered_frame(3)),
    ]
    assert [number_of(f) for f in open_listed(mixed).frames(range(4))] == [0, 1, 2, 3]
    assert [number_of(f) for f in open_listed(np.stack(mixed[2:3])).frames([0])] == [2]


def test_a_frame_of_another_shape_takes_the_common_one():
    frames = [numbered_frame(0), numbered_frame(1), numbered_frame(2, height=64)]
    shapes = [frame.shape for frame in open_listed(frames).frames(range(3))]
    assert shapes == [(32, 128, 3)] * 3


def test_an_odd_count_repeats_the_last_frame(processor):
    video = Video(source=[numbered_frame(n) for n in (5, 6, 7)], size=(32, 128))
    film = prepare_film(video, processor.image, processor.video)
    last = film.pairs[1].values.reshape(-1, 3, 2, 256)  # patches channel time pixels
    assert np.array_equal(last[:, :, 0], last[:, :, 1])
    assert film.seconds == (0.25, 1.0)


def test_a_fraction_of_a_frame_rate_is_kept(tmp_path):
    file = tmp_path / "ntsc.mp4"
    write_film(file, 90, rate=Fraction(30000, 1001))
    assert open_film(file).frames_per_second == pytest.approx(29.97003)
