"""mingle paint, edit and segment as a user meets them, on the miniature."""

import json
from pathlib import Path

import PIL.Image
import pytest
from miniature import write_miniature

import mingle
from mingle.cli import main
from mingle.processing.picture_file import read_facts

QUICK = ["--steps", "1", "--seed", "3"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    parts = ("thinker", "vision", "painter")
    return str(write_miniature(tmp_path_factory.mktemp("pictures") / "mini", parts))


@pytest.fixture
def photo(tmp_path) -> Path:
    PIL.Image.new("RGB", (70, 50), "red").save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(*argv: str) -> int:
    return main([str(word) for word in argv])


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp"])
def test_paint_writes_a_picture_that_tells_how_it_was_made(model, tmp_path, capsys, name):
    argv = ["paint", "a", "cat", "--size", "64x48", *QUICK, "--model", model]
    assert run(*argv, "-o", tmp_path / name, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"files": [str(tmp_path / name)], "seed": 3, "width": 64, "height": 48}
    facts = read_facts(tmp_path / name)
    assert facts["prompt"] == "a cat"
    assert (facts["seed"], facts["model"], facts["version"]) == (3, "mini", mingle.__version__)


def test_the_same_seed_gives_the_same_file(model, tmp_path):
    files = [tmp_path / "1.png", tmp_path / "2.png", tmp_path / "3.png"]
    for file, seed in zip(files, "778", strict=True):
        argv = ["paint", "a", "cat", "--size", "32x32", "--steps", "2", "--seed", seed]
        assert run(*argv, "--model", model, "-o", file) == 0
    first, second, third = (file.read_bytes() for file in files)
    assert first == second != third


def test_several_pictures_are_numbered(model, tmp_path, capsys):
    argv = ["paint", "a cat", "--size", "32x32", *QUICK, "--n", "2", "--model", model]
    assert run(*argv, "-o", tmp_path / "cat.png") == 0
    assert [read_facts(tmp_path / f"cat-{n}.png")["seed"] for n in (1, 2)] == [3, 4]
    assert "cat-2.png: 32x32, seed 4" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp"])
def test_edit_gives_the_pictures_own_size(model, photo, tmp_path, capsys, name):
    argv = ["edit", photo, "make it blue", *QUICK, "--resolution", "512", "--model", model]
    assert run(*argv, "-o", tmp_path / name, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["width"], told["height"]) == (70, 50)
    assert PIL.Image.open(tmp_path / name).size == (70, 50)


def test_segment_json_has_the_promised_keys(model, photo, tmp_path, capsys):
    argv = ["segment", photo, "the", "cat", *QUICK, "--resolution", "512", "--model", model]
    files = ["-o", tmp_path / "mask.png", "--overlay", tmp_path / "over.webp"]
    assert run(*argv, *files, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    promised = {"mask", "overlay", "confidence", "area", "bbox", "rle", "polygons"}
    assert promised <= set(told)
    mask = PIL.Image.open(tmp_path / "mask.png")
    assert (mask.mode, mask.size) == ("L", (70, 50))
    assert sum(mask.histogram()[255:]) == told["area"]
    assert PIL.Image.open(tmp_path / "over.webp").size == (70, 50)


def test_segment_instances_prints_one_object(model, photo, tmp_path, capsys):
    argv = ["segment", photo, "--instances", *QUICK, "--resolution", "512", "--model", model]
    assert run(*argv, "-o", tmp_path / "mask.png", "--json") == 0
    for one in json.loads(capsys.readouterr().out)["masks"]:
        assert Path(one["mask"]).is_file()
        assert one["area"] > 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["paint", ""], "prompt is empty"),
        (["paint", "x", "--size", "0x0"], "empty"),
        (["paint", "x", "--size", "huge"], "WIDTHxHEIGHT"),
        (["paint", "x", "--size", "99999x99999"], "too large"),
        (["paint", "x", "--steps", "0"], "steps is 0"),
        (["paint", "x", "--n", "0"], "count is 0"),
        (["paint", "x", "-o", "x.gif"], "which format"),
        (["paint", "x", "-o", "/nowhere/x.png"], "no folder"),
        (["edit", "/nowhere.png", "x"], "does not exist"),
        (["segment", "/nowhere.png", "x"], "does not exist"),
        (["segment", "/nowhere.png"], "say what to segment"),
        (["segment", "/nowhere.png", "x", "--classes"], "say what to segment"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(model, capsys, argv, message):
    assert run(*argv, "--model", model) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert not any("Traceback" in line for line in lines)


def test_a_cut_off_picture_is_exit_code_2(model, photo, capsys):
    photo.write_bytes(photo.read_bytes()[:-40])
    assert run("edit", photo, "x", *QUICK, "--model", model) == 2
    assert "damaged or cut off" in capsys.readouterr().err


def test_odd_pictures_are_edited_in_their_own_size(model, tmp_path, caplog):
    one, press, moving = (tmp_path / name for name in ("one.png", "press.jpg", "moving.gif"))
    PIL.Image.new("RGB", (1, 1), "red").save(one)
    PIL.Image.new("CMYK", (70, 50)).save(press)
    frames = [PIL.Image.new("RGB", (33, 47), colour) for colour in ("red", "blue")]
    frames[0].save(moving, save_all=True, append_images=frames[1:])
    for photo, size in ((one, (1, 1)), (press, (70, 50)), (moving, (33, 47))):
        argv = ["edit", photo, "make it blue", *QUICK, "--resolution", "512", "--model", model]
        assert run(*argv, "-o", tmp_path / "out.png") == 0
        assert PIL.Image.open(tmp_path / "out.png").size == size
    assert "first" in caplog.text  # of the frames is taken


def test_a_picture_of_a_hundred_megapixels_is_exit_code_2(model, tmp_path, capsys):
    PIL.Image.new("1", (10_000, 10_001)).save(tmp_path / "huge.png")
    argv = ["edit", tmp_path / "huge.png", "x", *QUICK, "--model", model]
    assert run(*argv, "-o", tmp_path / "out.png") == 2
    assert "megapixels" in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()


def test_a_model_that_does_not_paint_is_exit_code_3(tmp_path, capsys):
    model = write_miniature(tmp_path / "blind", ("thinker",))
    assert run("paint", "x", "--model", model) == 3
    assert "no part 'painter'" in capsys.readouterr().err
