"""Layers of pictures that are to be edited; pictures written with how they were made."""

import io
import os

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from mingle.errors import CapacityError, InputError
from mingle.processing.image import decode_layers
from mingle.processing.picture_file import format_of, read_facts, save_picture

FACTS = {"prompt": "a cat \u00e9 \u732b", "seed": 7, "model": "nano", "version": "0.1"}


@pytest.fixture
def picture():
    return PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 13, 3), np.uint8))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.webp"])
def test_facts_come_back_and_the_same_picture_gives_the_same_bytes(picture, tmp_path, name):
    files = [tmp_path / name, tmp_path / f"again-{name}"]
    for file in files:
        save_picture(picture, file, FACTS)
    assert read_facts(files[0]) == FACTS
    assert files[0].read_bytes() == files[1].read_bytes()
    assert sorted(os.listdir(tmp_path)) == sorted(file.name for file in files)
    assert PIL.Image.open(files[0]).size == (13, 9)


def test_png_keeps_every_pixel_and_jpeg_lays_transparency_onto_white(picture, tmp_path):
    layered = picture.copy()
    layered.putalpha(0)
    save_picture(layered, tmp_path / "a.png", {})
    save_picture(layered, tmp_path / "a.jpg", {})
    assert (np.asarray(PIL.Image.open(tmp_path / "a.png")) == np.asarray(layered)).all()
    assert np.asarray(PIL.Image.open(tmp_path / "a.jpg")).min() > 250


def test_other_peoples_pictures_have_no_facts(picture, tmp_path):
    picture.save(tmp_path / "plain.png")
    assert read_facts(tmp_path / "plain.png") == {}


def test_unknown_formats_and_folders_are_refused(picture, tmp_path):
    with pytest.raises(InputError, match=r"\.png, \.jpg"):
        format_of(tmp_path / "a.gif")
    with pytest.raises(CapacityError, match="cannot be written"):
        save_picture(picture, tmp_path / "nowhere" / "a.png", {})


def encoded(picture, **options):
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def test_a_picture_on_its_side_is_turned_upright(picture):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    layers = decode_layers(encoded(picture, exif=exif))
    assert layers.flat.size == (9, 13)
    assert (np.asarray(layers.flat) == np.rot90(np.asarray(picture), -1)).all()


def test_a_colour_profile_is_applied(picture):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = decode_layers(encoded(picture, icc_profile=srgb))
    difference = np.asarray(same.flat).astype(int) - np.asarray(picture)
    assert np.abs(difference).max() <= 2
    swapped = srgb.replace(b"rXYZ", b"____", 1).replace(b"gXYZ", b"rXYZ", 1)
    swapped = swapped.replace(b"____", b"gXYZ", 1)  # its red is sRGB's green
    other = decode_layers(encoded(picture, icc_profile=swapped))
    difference = np.asarray(other.flat).astype(int) - np.asarray(picture)[..., [1, 0, 2]]
    assert np.abs(difference).max() <= 3


def test_a_broken_colour_profile_is_ignored_with_a_warning(picture, caplog):
    layers = decode_layers(encoded(picture, icc_profile=b"not a profile"))
    assert (np.asarray(layers.flat) == np.asarray(picture)).all()
    assert "profile" in caplog.text


def test_layers_of_a_transparent_picture():
    levels = np.zeros((2, 2, 4), np.uint8)
    levels[0, 0] = (200, 100, 50, 255)
    levels[1, 1] = (200, 100, 50, 0)
    layers = decode_layers(PIL.Image.fromarray(levels, "RGBA"))
    assert np.asarray(layers.colours)[1, 1].tolist() == [200, 100, 50]
    assert np.asarray(layers.flat)[1, 1].tolist() == [255, 255, 255]
    assert np.asarray(layers.alpha).tolist() == [[255, 0], [0, 0]]


def test_the_first_frame_of_an_animation_is_taken_with_a_warning(picture, caplog):
    file = io.BytesIO()
    picture.save(file, "GIF", save_all=True, append_images=[PIL.Image.new("RGB", (13, 9))])
    assert decode_layers(file.getvalue()).flat.size == (13, 9)
    assert "animated" in caplog.text
