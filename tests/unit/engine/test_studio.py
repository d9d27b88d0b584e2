"""Painting, editing and segmenting with a miniature of the released layout, from Python."""

import io
import logging
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import torch
from miniature import write_miniature

import mingle
from mingle.checkpoints.load import open_model
from mingle.engine import canvas
from mingle.engine.paint import PaintOptions, Studio, text_to_draw
from mingle.engine.segment import instruction, rarest_colour, segment, segment_all
from mingle.errors import CapacityError, InputError
from mingle.model import OmniModel
from mingle.painter.denoise import CancelledError
from mingle.processing.image import decode_layers

QUICK = PaintOptions(steps=2, seed=5)
PARTS = ("thinker", "vision", "painter")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = open_model(write_miniature(tmp_path_factory.mktemp("studio") / "model", PARTS))
    model = folder.load(PARTS)
    small = {64: ((64, 64), (48, 80), (80, 48))}
    model.painter.config = replace(model.painter.config, buckets=small, resolution=64)
    return Studio(model, folder.processor())


@pytest.fixture
def photo():
    levels = np.random.default_rng(0).integers(0, 255, (50, 77, 3), dtype=np.uint8)
    return PIL.Image.fromarray(levels)


def values(picture):
    return np.asarray(picture.image)


def test_the_same_seed_paints_the_same_picture_alone_and_among_others(studio):
    many = studio.paint("a cat", replace(QUICK, size=(48, 64), count=3))
    again = studio.paint("a cat", replace(QUICK, size=(48, 64), seed=6))
    assert [picture.seed for picture in many] == [5, 6, 7]
    assert (values(many[1]) == values(again[0])).all()
    assert (values(many[0]) != values(many[1])).any()


def test_pictures_of_one_batch_equal_single_ones(studio):
    alone = studio.paint("a cat", replace(QUICK, size=(48, 64), count=3))
    batch = studio.paint("a cat", replace(QUICK, size=(48, 64), count=3, at_once=3))
    for one, other in zip(alone, batch, strict=True):
        # fp32 sums in another order: rounding to 8 bits may fall on the other side
        assert np.abs(values(one).astype(int) - values(other)).max() <= 1


def test_words_text_steps_and_guidance_matter(studio):
    base = values(studio.paint("a cat", replace(QUICK, size=(32, 32)))[0])
    for prompt, change in (
        ("a dog", {}),
        ("a cat", {"text": "HI"}),
        ("a cat", {"steps": 3}),
        ("a cat", {"guidance": 0.0}),
        ("a cat", {"spacing": "reference"}),
    ):
        other = values(studio.paint(prompt, replace(QUICK, size=(32, 32), **change))[0])
        assert (other != base).any(), (prompt, change)


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (64, 48), (100, 7)])
def test_a_picture_has_the_size_that_was_asked_for(studio, size):
    picture = studio.paint("a cat", replace(QUICK, size=size))[0]
    assert (picture.height, picture.width) == size == picture.image.size[::-1]


@pytest.mark.parametrize("size", [(1, 1), (50, 77), (200, 30), (64, 64)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK", "P", "1", "LA"])
def test_an_edit_has_the_size_of_its_picture(studio, size, mode):
    height, width = size
    picture = PIL.Image.new("RGB", (width, height), (200, 30, 60)).convert(mode)
    edit = studio.edit([picture], "make it green", replace(QUICK, steps=1))[0]
    assert edit.image.size == (width, height)
    assert edit.image.mode == ("RGBA" if mode in ("RGBA", "LA") else "RGB")


def test_an_edit_may_have_another_size(studio, photo):
    edit = studio.edit([photo], "make it green", replace(QUICK, steps=1, size=(30, 40)))[0]
    assert edit.image.size == (40, 30)


def test_further_pictures_reach_the_thinker(studio, photo):
    one = studio.edit([photo], "put it there", QUICK)[0]
    two = studio.edit([photo, PIL.Image.new("RGB", (40, 90), "blue")], "put it there", QUICK)[0]
    assert (values(one) != values(two)).any()


def test_what_an_edit_did_not_change_is_the_originals_to_the_bit():
    draw = np.random.default_rng(1)
    original = decode_layers(
        PIL.Image.fromarray(draw.integers(0, 255, (100, 160, 4), dtype=np.uint8), "RGBA")
    )
    unedited = canvas.to_pixels(original.flat, (80, 128))
    edited = unedited.clone()
    edited[:, 20:40, 30:60] = torch.tensor([1.0, -1.0, -1.0])[:, None, None]
    result = canvas.restored(canvas.to_picture(edited), original, canvas.changes(edited, unedited))
    new = np.asarray(result)
    old = np.dstack([np.asarray(original.colours), np.asarray(original.alpha)])
    near = np.zeros((100, 160), bool)
    near[10:65, 20:92] = True  # the change and its margin, in the original's pixels
    assert (new[~near] == old[~near]).all()
    assert (new[30:45, 45:70] == [255, 0, 0, 255]).all()  # opaque where it is new


def test_an_edit_of_everything_takes_everything():
    unedited = torch.zeros(3, 32, 32)
    assert (canvas.changes(unedited + 0.5, unedited) == 1).all()
    assert (canvas.changes(unedited, unedited) == 0).all()


def test_painting_is_cancelled_by_raising(studio):
    seen = []

    def stop(step):
        seen.append(step.number)
        raise CancelledError

    with pytest.raises(CancelledError):
        studio.paint("a cat", replace(QUICK, size=(32, 32), steps=9, count=4), stop)
    assert seen == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 10**9}, "steps is"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"guidance": -1.0}, "guidance is -1.0"),
        ({"count": 0}, "count is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"size": (0, 64)}, "empty"),
        ({"size": (10**6, 10**6)}, "too large"),
    ],
)
def test_bad_options_are_refused(studio, options, message):
    with pytest.raises(InputError, match=message):
        studio.paint("a cat", replace(QUICK, **options))


def test_work_counts_the_pixels_that_are_painted_the_steps_and_the_pictures(studio):
    plan = PaintOptions(size=(48, 64), steps=30, count=2)
    assert studio.work(plan) == pytest.approx(48 * 64 * 30 * 2 / 1e6)
    assert studio.work(replace(plan, size=None)) == pytest.approx(64 * 64 * 30 * 2 / 1e6)
    # an edit is painted in the shape of its original, whatever it is brought to
    assert studio.work(plan, (500, 800)) == pytest.approx(48 * 80 * 30 * 2 / 1e6)


def test_empty_words_and_no_picture_are_refused(studio, photo):
    for prompt in ("", "  \n"):
        with pytest.raises(InputError, match="prompt is empty"):
            studio.paint(prompt, QUICK)
        with pytest.raises(InputError, match="phrase is empty"):
            segment(studio, photo, prompt)
    with pytest.raises(InputError, match="nothing to edit"):
        studio.edit([], "make it green", QUICK)


def test_broken_pictures_are_refused(studio, photo):
    file = io.BytesIO()
    photo.save(file, "PNG")
    whole = file.getvalue()
    for source in (whole[: len(whole) // 2], whole[:10], b"no picture", b"", "/nowhere.png"):
        with pytest.raises(InputError):
            studio.edit([source], "make it green", QUICK)


def test_a_picture_of_a_hundred_megapixels_is_refused(studio):
    with pytest.raises(InputError, match="100 megapixels"):
        studio.edit([PIL.Image.new("1", (10_000, 10_000))], "make it green", QUICK)


def test_a_model_without_a_painter_says_so(studio):
    with pytest.raises(CapacityError, match="without 'painter'"):
        Studio(OmniModel(thinker=studio.model.thinker), studio.processor)


def test_an_open_quotation_mark_is_no_error(caplog):
    with caplog.at_level(logging.WARNING):
        assert text_to_draw('a sign "OPEN', PaintOptions()) == ""
    assert "no partner" in caplog.text
    assert text_to_draw('a sign "OPEN', PaintOptions(text="SHUT")) == 'Text "SHUT". '
    assert text_to_draw('a sign "OPEN"', PaintOptions(text="")) == ""


def test_a_painter_of_capitals_reads_and_draws_capitals(studio, monkeypatch):
    def painted(prompt: str) -> bytes:
        return values(studio.paint(prompt, replace(QUICK, size=(32, 32)))[0]).tobytes()

    assert painted('the text "open"') != painted('the text "OPEN"')
    config = studio.painter.config
    capitals = replace(config, glyph=replace(config.glyph, capitals=True))
    monkeypatch.setattr(studio.painter, "config", capitals)
    assert painted('the text "open"') == painted('the text "OPEN"')


# --- segmentation ------------------------------------------------------------------------------


def painting_over(studio, region, colour):
    """A studio whose edits paint a region: the ideal model."""

    class Ideal(Studio):
        def edit_on_canvas(self, originals, instruction, options, on_step=None):
            self.said = instruction
            [edit] = super().edit_on_canvas(originals, instruction, options, on_step)
            clean = canvas.to_pixels(originals[0].flat, edit.pixels.shape[1:])
            pixels = clean.clone()
            pixels[:, region] = torch.tensor(colour)[:, None] / 127.5 - 1
            return [replace(edit, pixels=pixels, unedited=clean)]

    return Ideal(studio.model, studio.processor)


def test_a_mask_comes_back_in_the_pictures_size(studio):
    photo = PIL.Image.new("RGB", (160, 96), (90, 120, 60))
    region = np.zeros((48, 80), bool)
    region[10:30, 20:50] = True
    ideal = painting_over(studio, region, (255, 0, 0))
    found = segment(ideal, photo, "the box", colour="red", options=QUICK)
    assert ideal.said == "please segment the box using red mask"
    assert found.mask.size == found.overlay.size == photo.size
    assert found.bbox == pytest.approx([40, 20, 60, 40], abs=1)
    assert found.area == pytest.approx(2400, rel=0.03)
    assert found.confidence > 0.9
    assert found.rle["size"] == [96, 160]
    assert np.asarray(found.mask)[40, 70] == 255


def test_nothing_painted_is_an_empty_mask_with_confidence_0(studio, photo):
    ideal = painting_over(studio, np.zeros((48, 80), bool), (255, 0, 0))
    found = segment(ideal, photo, "the unicorn", colour="red", options=QUICK)
    assert (found.area, found.confidence, found.bbox, found.polygons) == (0, 0.0, [0] * 4, [])


def test_every_class_has_a_mask(studio):
    photo = PIL.Image.new("RGB", (80, 48), (128, 128, 128))
    region = np.zeros((48, 80), bool)
    region[10:30, 20:50] = True
    ideal = painting_over(studio, region, (0, 0, 255))
    found = segment_all(ideal, photo, "classes", options=QUICK)
    assert ideal.said == "Please segment different classes in this image"
    assert [one.label for one in found] == ["blue"]


def test_the_rarest_colour_is_chosen_and_unknown_ones_are_refused(studio, photo):
    words = studio.painter.config.segment
    red = np.full((20, 20, 3), (250, 10, 10), np.uint8)
    assert rarest_colour(red, words.colours) == "cyan"
    assert "cyan" in instruction(words, "the ball", "cyan")
    assert "the ball; please perform referring" in instruction(words, "the ball.", "any")
    with pytest.raises(InputError, match="'beige' is unknown"):
        segment(studio, photo, "the ball", colour="beige")


def test_a_model_in_bfloat16_paints_edits_and_draws_text(tmp_path, photo):
    folder = open_model(write_miniature(tmp_path / "half", PARTS, dtype=torch.bfloat16))
    model = folder.load(PARTS)
    small = replace(model.painter.config, buckets={64: ((64, 64),)}, resolution=64)
    model.painter.config = small
    studio = Studio(model, folder.processor())
    assert model.painter.connector.proj_in.weight.dtype == torch.bfloat16
    assert studio.paint('a sign "HI"', QUICK)[0].image.size == (64, 64)
    assert studio.edit([photo], "make it green", QUICK)[0].image.size == photo.size


def test_the_assistant_paints_edits_and_segments(tmp_path, photo):
    folder = write_miniature(tmp_path / "model", PARTS)
    with mingle.load(str(folder)) as model:
        steps = []
        painted = model.paint("a cat", size=(32, 48), seed=1, steps=2, on_step=steps.append)
        assert painted[0].image.size == (48, 32)
        assert [step.number for step in steps] == [1, 2]
        plan = {"seed": 1, "steps": 1, "resolution": 512}
        assert model.edit(photo, "make it green", **plan)[0].image.size == photo.size
        assert model.edit([photo, photo], "mix them", **plan)[0].image.size == photo.size
        assert model.segment(photo, "the cat", colour="red", **plan).mask.size == photo.size


def test_what_a_model_was_not_taught_is_told(studio, photo):
    words = studio.painter.config.segment
    small = replace(words, refer_any=None, classes=None, instances=None)
    with pytest.raises(InputError, match="does not choose the colour"):
        instruction(small, "the cat", "any")
    whole = studio.painter.config
    studio.painter.config = replace(whole, segment=small)
    try:
        with pytest.raises(InputError, match="not taught to mask all instances"):
            segment_all(studio, photo, "instances")
    finally:
        studio.painter.config = whole


def test_another_size_than_the_model_s_own_is_told(studio, caplog):
    whole = studio.painter.config
    studio.painter.config = replace(whole, free_sizes=False)
    try:
        with caplog.at_level(logging.WARNING):
            picture = studio.paint("a cat", replace(QUICK, size=(100, 120)))[0]
    finally:
        studio.painter.config = whole
    assert picture.image.size == (120, 100)
    assert "painted at 64x64, this model's own size, and brought to 120x100" in caplog.text
