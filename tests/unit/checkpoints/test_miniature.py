"""The miniature is a whole official-layout checkpoint: it is recognised, loads, and comes back."""

import json
from pathlib import Path

import PIL.Image
import pytest
import torch
from miniature import PERCEPTION, write_miniature, write_preview
from miniature.configs import root_config
from safetensors.torch import load_file

from mingle.checkpoints.flash_omni_2 import check_root
from mingle.checkpoints.load import open_model
from mingle.checkpoints.save import save
from mingle.errors import CheckpointError, ConfigError, InputError
from mingle.messages import Image, Request, Video, user


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_miniature(tmp_path_factory.mktemp("miniature") / "model")


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    files = {file: load_file(file) for file in sorted(folder.rglob("*.safetensors"))}
    files |= {file: torch.load(file) for file in sorted(folder.rglob("*.pt"))}
    return {
        str(file.parent.relative_to(folder) / name): tensor
        for file, tensors in files.items()
        for name, tensor in tensors.items()
    }


def test_it_is_recognised_and_has_several_shards(folder: Path) -> None:
    assert open_model(folder).family.name == "ming-flash-omni-2.0"
    assert len(list(folder.glob("model-*.safetensors"))) > 2


def test_prompt_goes_from_request_to_logits(folder: Path) -> None:
    model = open_model(folder)
    prompt = model.processor().prepare(Request(messages=(user("Hello"),)))
    loaded = model.load(("thinker",))
    embedded = loaded.embed(prompt)
    assert embedded.hidden.shape == (len(prompt.ids), 64)
    assert embedded.hidden.isfinite().all()


def test_round_trip_gives_back_every_tensor_and_file(folder: Path, tmp_path: Path) -> None:
    model = open_model(folder)
    modules, report = model.load_modules(PERCEPTION)
    save(model, modules, tmp_path / "copy", shard_bytes=300_000)
    given, back = tensors_of(folder), tensors_of(tmp_path / "copy")
    assert set(back) == set(given)
    assert all(torch.equal(back[name], tensor) for name, tensor in given.items())
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
    ignored = {name.split(".")[1] for name in report.ignored}
    assert ignored <= {"deepstack_merger_list"}


@pytest.mark.parametrize("part", ["talker", "painter"])
def test_generation_parts_round_trip(tmp_path: Path, part: str) -> None:
    folder = write_miniature(tmp_path / "model", (part,))
    model = open_model(folder)
    modules, report = model.load_modules((part,))
    assert set(report.filled) == {f"{part}.{name}" for name in modules[part].state_dict()}
    save(model, modules, tmp_path / "copy")
    given, back = tensors_of(folder), tensors_of(tmp_path / "copy")
    assert set(back) == set(given)
    assert all(torch.equal(back[name], tensor) for name, tensor in given.items())


def test_the_preview_is_told_apart_and_reads_a_picture(tmp_path: Path) -> None:
    folder = write_preview(tmp_path / "preview")
    model = open_model(folder)
    assert model.family.name == "ming-flash-omni-preview"
    picture = PIL.Image.new("RGB", (300, 300), "red")
    processor, loaded = model.processor(), model.load()
    prompt = processor.prepare(Request(messages=(user(Image(source=picture), "What?"),)))
    assert prompt.images[0].grid == (1, 22, 22)  # 308 pixels: a multiple of 28
    embedded = loaded.embed(prompt)
    rows = [span for span in prompt.spans if span.kind == "image"]
    assert [span.length for span in rows] == [121]
    torch.testing.assert_close(
        embedded.hidden[rows[0].start : rows[0].start + 121].norm(dim=-1), torch.ones(121)
    )
    modules, report = model.load_modules()
    save(model, modules, tmp_path / "copy")
    given, back = tensors_of(folder), tensors_of(tmp_path / "copy")
    assert set(back) == set(given)
    assert all(torch.equal(back[name], tensor) for name, tensor in given.items())
    assert report.ignored == {}


def test_the_preview_refuses_films(tmp_path: Path) -> None:
    processor = open_model(write_preview(tmp_path / "preview")).processor()
    frames = [PIL.Image.new("RGB", (64, 64))] * 2
    with pytest.raises(InputError, match="reads no films; send some of its frames"):
        processor.prepare(Request(messages=(user(Video(source=frames)),)))


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    first, again, other = (
        tensors_of(write_miniature(tmp_path / str(number), ("audio",), seed=seed))
        for number, seed in enumerate((1, 1, 2))
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["audio.conv1.weight"], other["audio.conv1.weight"])


def test_config_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).symlink_to(file)
    config = root_config()
    config["llm_config"]["num_hidden_layers"] = 2
    (copy / "config.json").unlink()
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"layers\.2\..*another model"):
        open_model(copy).load(("thinker",))


def test_unknown_key_in_the_root_config_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'router_kind' in config\.json"):
        check_root({"config.json": {**root_config(), "router_kind": "one"}})
