"""Pictures of every mode become the pixels that a viewer would see; sizes follow the grid."""

import logging
from io import BytesIO

import numpy as np
import PIL.Image
import pytest

from mingle.errors import InputError
from mingle.processing.image import (
    decode_picture,
    fit_size,
    patchify,
    picture_size,
    prepare_picture,
)

RED = (255, 0, 0)


def encoded(picture: PIL.Image.Image, kind: str = "PNG", **options) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def first_pixel(source) -> tuple[int, ...]:
    return decode_picture(source).getpixel((0, 0))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_a_colour_survives_every_lossless_format(kind):
    assert first_pixel(encoded(PIL.Image.new("RGB", (8, 8), RED), kind)) == RED


def test_paths_bytes_arrays_and_pil_pictures_are_the_same_picture(tmp_path):
    picture = PIL.Image.effect_noise((40, 30), 80).convert("RGB")
    data = encoded(picture)
    (tmp_path / "a.png").write_bytes(data)
    sources = [tmp_path / "a.png", str(tmp_path / "a.png"), data, np.asarray(picture), picture]
    for source in sources:
        assert np.array_equal(np.asarray(decode_picture(source)), np.asarray(picture))


def test_transparency_shows_white_paper():
    layer = PIL.Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert first_pixel(encoded(layer)) == (255, 255, 255)
    half = PIL.Image.new("LA", (8, 8), (0, 128))
    assert first_pixel(encoded(half)) == (127, 127, 127)


def test_a_transparent_palette_colour_shows_white_paper():
    picture = PIL.Image.new("P", (8, 8), 0)
    picture.putpalette([10, 20, 30] + [0] * 765)
    assert first_pixel(encoded(picture)) == (10, 20, 30)
    assert first_pixel(encoded(picture, transparency=0)) == (255, 255, 255)


def test_sixteen_bits_are_scaled_not_clipped():
    levels = np.full((8, 8), 0x8000, dtype=np.uint16)
    assert first_pixel(encoded(PIL.Image.fromarray(levels))) == (128, 128, 128)
    assert first_pixel(encoded(PIL.Image.fromarray(levels), "TIFF")) == (128, 128, 128)


def test_cmyk_becomes_rgb():
    data = encoded(PIL.Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF")
    assert first_pixel(data) == RED


def test_a_sideways_photo_is_turned_upright():
    picture = PIL.Image.new("RGB", (64, 32), RED)
    picture.paste((0, 0, 255), (0, 0, 32, 32))  # blue left, red right
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    data = encoded(picture, exif=exif)
    upright = decode_picture(data)
    assert upright.size == (32, 64)
    assert upright.getpixel((16, 8)) == (0, 0, 255)  # blue on top
    assert picture_size(data) == (64, 32)


def test_an_animation_gives_its_first_frame_and_says_so(caplog):
    frames = [PIL.Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 255, 0))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with caplog.at_level(logging.WARNING):
        assert first_pixel(data) == RED
    assert "animated" in caplog.text


@pytest.mark.parametrize(
    ("source_hw", "target_hw"),
    [((75, 100), (64, 96)), ((48, 48), (64, 64)), ((1, 1), (64, 64)), ((8000, 6000), (4704, 3520))],
)
def test_sizes_follow_the_official_rule(processor, source_hw, target_hw):
    assert fit_size(*source_hw, processor.image) == target_hw


def test_patches_go_block_by_block_and_channel_first(processor):
    frame = np.zeros((64, 64, 3), dtype=np.uint8)
    frame[16:32, 0:16] = (10, 20, 30)  # second row, first column: third patch of the first block
    patches = patchify(np.stack([frame, frame]), processor.image)
    assert patches.grid == (1, 4, 4)
    assert patches.values.shape == (16, 3 * 2 * 16 * 16)
    channels = patches.values[2].reshape(3, 512)
    mean, std = np.array(processor.image.mean), np.array(processor.image.std)
    wanted = (np.array([10, 20, 30]) / 255 - mean) / std
    np.testing.assert_allclose(channels, np.repeat(wanted[:, None], 512, 1), atol=1e-6)
    others = np.delete(patches.values, 2, axis=0).reshape(15, 3, 512)
    np.testing.assert_allclose(
        others, np.broadcast_to((-mean / std)[:, None], others.shape), atol=1e-6
    )


def test_a_wished_size_is_put_on_the_grid(processor):
    patches = prepare_picture(PIL.Image.new("RGB", (500, 500)), processor.image, size=(100, 70))
    assert patches.grid == (1, 6, 4)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "array float32"),
        (np.zeros((4, 4), np.uint8), "expected uint8"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array, message):
    with pytest.raises(InputError, match=message):
        decode_picture(array)


def test_a_ribbon_is_refused(processor):
    with pytest.raises(InputError, match="205 times longer than wide"):
        prepare_picture(PIL.Image.new("RGB", (4100, 20)), processor.image)
