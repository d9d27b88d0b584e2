"""Masks read from edits of drawn pictures: clean ones, noisy ones, hard ones."""

import numpy as np
import pytest
from drawn import (
    BACKGROUNDS,
    HEIGHT,
    PAINT,
    WIDTH,
    compressed,
    coverage,
    flat,
    gradient,
    noisy,
    overlap,
    painted,
    pixels,
    scene,
    texture,
    towards_paint,
)

from mingle.painter.alignment import find_shift
from mingle.painter.masks import read_label_masks, read_mask

SHAPES = ("disc", "ring", "thin", "tiny", "touching", "most")
CLEAN, NOISY = 0.97, 0.9  # what the masks are held to


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_clean_edit_gives_the_mask(background, shape, rng):
    picture, cover = scene(BACKGROUNDS[background](rng), shape, rng)
    mask = read_mask(pixels(picture), pixels(painted(picture, cover, PAINT)), PAINT)
    assert overlap(mask.pixels, cover > 0.5) >= CLEAN
    assert mask.confidence > 0.7


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_noise_hardly_changes_the_mask(background, shape, rng):
    picture, cover = scene(BACKGROUNDS[background](rng), shape, rng)
    edit = noisy(painted(picture, cover, PAINT), rng)
    mask = read_mask(pixels(picture), pixels(edit), PAINT)
    assert overlap(mask.pixels, cover > 0.5) >= NOISY


@pytest.mark.parametrize("sigma", [0.0, 8.0])
@pytest.mark.parametrize("seed", [0, 6, 8])
def test_paint_that_covers_most_edges_is_not_a_shift(seed, sigma):
    rng = np.random.default_rng(seed)  # few edges besides the thin thing's own
    picture, cover = scene(flat(rng), "thin", rng)
    edit = noisy(painted(picture, cover, PAINT), rng, sigma)
    assert find_shift(edit.astype(np.float32), picture.astype(np.float32)) == (0.0, 0.0)
    mask = read_mask(pixels(picture), pixels(edit), PAINT)
    assert overlap(mask.pixels, cover > 0.5) >= (NOISY if sigma else CLEAN)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("paint", [(0, 255, 0), (128, 0, 255), (255, 255, 0)])
def test_other_colours_and_places(paint, seed):
    rng = np.random.default_rng(seed)
    picture, cover = scene(texture(rng), "disc", rng)
    edit = noisy(painted(picture, cover, paint), rng)
    assert overlap(read_mask(pixels(picture), pixels(edit), paint).pixels, cover > 0.5) >= NOISY


@pytest.mark.parametrize("quality", [90, 75, 60])
def test_jpeg_hardly_changes_the_mask(quality, rng):
    picture, cover = scene(gradient(rng), "disc", rng)
    edit = compressed(painted(picture, cover, PAINT), quality)
    assert overlap(read_mask(pixels(picture), pixels(edit), PAINT).pixels, cover > 0.5) >= NOISY


@pytest.mark.parametrize("shift", [(1, 0), (-2, 1), (3, -3)])
@pytest.mark.parametrize("sigma", [0.0, 8.0])
def test_a_shifted_edit_gives_the_mask_where_the_thing_stood(shift, sigma, rng):
    picture, cover = scene(texture(rng), "ring", rng)
    edit = noisy(np.roll(painted(picture, cover, PAINT), shift, (0, 1)), rng, sigma)
    mask = read_mask(pixels(picture), pixels(edit), PAINT)
    assert overlap(mask.pixels, cover > 0.5) >= NOISY


def test_a_small_picture_is_moved_by_a_pixel_at_most(rng):
    picture = rng.uniform(0, 255, (64, 64, 3)).astype(np.float32)
    dy, dx = find_shift(np.roll(picture, (3, -3), (0, 1)), picture)
    assert max(abs(dy), abs(dx)) <= 1


def test_the_shift_is_found_to_a_fraction_of_a_pixel(rng):
    picture, _ = scene(texture(rng), "disc", rng)
    half_way = 0.5 * picture + 0.5 * np.roll(picture, 1, 1)
    dy, dx = find_shift(half_way.astype(np.float32), picture.astype(np.float32))
    assert dy == pytest.approx(0, abs=0.1)
    assert dx == pytest.approx(0.5, abs=0.2)


def test_a_picture_without_edges_is_not_moved(rng):
    picture = flat(rng)
    edit = painted(picture, coverage("disc", rng), PAINT)
    assert find_shift(edit.astype(np.float32), picture.astype(np.float32)) == (0.0, 0.0)


@pytest.mark.parametrize(("gain", "lift"), [(0.93, 8.0), (1.05, -6.0)])
def test_a_changed_tone_of_the_whole_picture_is_not_paint(gain, lift, rng):
    picture, cover = scene(texture(rng), "disc", rng)
    edit = painted(picture, cover, PAINT) * gain + lift
    assert overlap(read_mask(pixels(picture), pixels(edit), PAINT).pixels, cover > 0.5) >= CLEAN


@pytest.mark.parametrize("sigma", [0.0, 8.0])
def test_translucent_paint_counts(sigma, rng):
    picture, cover = scene(gradient(rng), "disc", rng)
    edit = noisy(painted(picture, cover, PAINT, opacity=0.6), rng, sigma)
    assert overlap(read_mask(pixels(picture), pixels(edit), PAINT).pixels, cover > 0.5) >= NOISY


def test_paint_that_keeps_the_shading_counts(rng):
    picture, cover = scene(texture(rng), "disc", rng)
    light = picture.mean(-1, keepdims=True) / 255
    edit = picture * (1 - cover[..., None]) + light * np.array(PAINT) * 1.4 * cover[..., None]
    assert overlap(read_mask(pixels(picture), pixels(edit), PAINT).pixels, cover > 0.5) >= NOISY


@pytest.mark.parametrize("sigma", [0.0, 8.0])
def test_a_thing_of_the_paints_colour_elsewhere_is_not_in_the_mask(sigma, rng):
    picture, cover = scene(flat(rng), "disc", rng)
    picture[:20, :20] = PAINT
    edit = noisy(painted(picture, cover, PAINT), rng, sigma)
    assert overlap(read_mask(pixels(picture), pixels(edit), PAINT).pixels, cover > 0.5) >= CLEAN


@pytest.mark.parametrize("sigma", [0.0, 8.0])
def test_a_patch_of_the_paints_colour_inside_is_in_the_mask(sigma, rng):
    picture, cover = scene(flat(rng), "most", rng)
    picture[50:66, 60:80] = PAINT
    edit = noisy(painted(picture, cover, PAINT), rng, sigma)
    mask = read_mask(pixels(picture), pixels(edit), PAINT)
    assert mask.pixels[50:66, 60:80].mean() > 0.98
    assert overlap(mask.pixels, cover > 0.5) >= CLEAN


@pytest.mark.parametrize(("sigma", "least"), [(0.0, CLEAN), (8.0, NOISY)])
def test_a_background_that_fades_into_the_paint(sigma, least, rng):
    picture, cover = scene(towards_paint(rng), "ring", rng)
    edit = noisy(painted(picture, cover, PAINT), rng, sigma)
    mask = read_mask(pixels(picture), pixels(edit), PAINT)
    seen = np.linalg.norm(picture - np.array(PAINT), axis=-1) > 30  # closer nobody can tell
    assert overlap(mask.pixels & seen, (cover > 0.5) & seen) >= least


@pytest.mark.parametrize("sigma", [0.0, 8.0])
def test_an_edit_that_painted_nothing_gives_an_empty_mask(sigma, rng):
    picture, _ = scene(texture(rng), "disc", rng)
    mask = read_mask(pixels(picture), pixels(noisy(picture, rng, sigma)), PAINT)
    assert not mask.pixels.any()
    assert mask.confidence == 0


def test_a_change_of_another_kind_is_not_paint(rng):
    picture, cover = scene(flat(rng), "disc", rng)
    mask = read_mask(pixels(picture), pixels(painted(picture, cover, (0, 255, 255))), PAINT)
    assert not mask.pixels.any()


def test_without_a_named_colour_the_commonest_new_one_is_the_paint(rng):
    picture, cover = scene(gradient(rng), "disc", rng)
    mask = read_mask(pixels(picture), pixels(painted(picture, cover, (10, 200, 60))), None)
    assert overlap(mask.pixels, cover > 0.5) >= CLEAN
    assert np.abs(np.array(mask.colour) - (10, 200, 60)).max() <= 12


def test_confidence_falls_with_noise_and_with_a_wrong_colour(rng):
    picture, cover = scene(texture(rng), "disc", rng)
    clean = painted(picture, cover, PAINT)
    pale = painted(picture, cover, PAINT, opacity=0.4)
    off = painted(picture, cover, (255, 120, 40))
    scores = [read_mask(pixels(picture), pixels(edit), PAINT).confidence for edit in (clean, off)]
    faint = read_mask(pixels(picture), pixels(noisy(pale, rng, 20.0)), PAINT).confidence
    assert scores[0] > scores[1]
    assert scores[0] > faint


def test_pictures_smaller_than_any_neighbourhood():
    source, edit = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), (255, 0, 0), np.uint8)
    assert read_mask(source, source, PAINT).confidence == 0
    assert read_mask(source, edit, PAINT).pixels.shape == (1, 1)


@pytest.mark.parametrize("sigma", [0.0, 8.0])
def test_every_colour_of_the_map_is_a_mask_of_its_own(sigma, rng):
    colours = {"red": PAINT, "blue": (0, 0, 255), "purple": (128, 0, 255), "green": (0, 255, 0)}
    picture = texture(rng)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    truth = {
        "red": (ys < 64) & (xs < 70),
        "blue": (ys < 64) & (xs >= 70),  # red and blue touch: their seam resembles purple
        "green": (ys - 100) ** 2 + (xs - 60) ** 2 < 20**2,
    }
    edit = picture.copy()
    for name, region in truth.items():
        edit[region] = colours[name]
    masks = read_label_masks(pixels(picture), pixels(noisy(edit, rng, sigma)), colours)
    assert set(masks) == set(truth)
    for name, region in truth.items():
        assert overlap(masks[name].pixels, region) >= (NOISY if sigma else CLEAN)


def test_soft_edges_do_not_teach_how_to_paint():
    rows, columns = np.mgrid[:32, :32]  # grey but for the disc: only its edge knows colours
    away = np.hypot(columns - 10, rows - 16)
    cover = (1 / (1 + np.exp((away - 7) / 0.5)))[..., None]  # an autoencoder's edge
    before, after = (90 + cover * (np.array(c) - 90) for c in ((209, 47, 45), (126, 11, 238)))
    mask = read_mask(pixels(before), pixels(after), (128, 0, 255))
    assert overlap(mask.pixels, cover[..., 0] > 0.5) >= NOISY
    assert mask.confidence > 0.7
