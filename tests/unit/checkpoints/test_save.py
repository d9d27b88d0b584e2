"""Saving gives back every byte of the official layout, or nothing at all."""

import json
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy_family import TOY, toy_tensors, write_toy

from mingle.checkpoints import store
from mingle.checkpoints.load import ModelFolder
from mingle.checkpoints.save import create, save
from mingle.errors import CapacityError, InputError


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return {
        name: tensor
        for file in sorted(folder.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_round_trip_gives_back_every_tensor(tmp_path: Path, dtype: torch.dtype) -> None:
    given = toy_tensors(dtype=dtype)
    model = write_toy(tmp_path / "toy", tensors=given)
    modules, _ = model.load_modules(("body", "eye", "voice"))
    save(model, modules, tmp_path / "copy", shard_bytes=500)
    back = tensors_of(tmp_path / "copy")
    assert set(back) == set(given)
    for name, tensor in given.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor), name
    voices = [torch.load(tmp_path / one / "voice" / "voice.pt") for one in ("toy", "copy")]
    assert all(torch.equal(voices[0]["state_dict"][name], voices[1][name]) for name in voices[1])


def test_the_rest_of_the_folder_is_carried_over(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    modules, _ = model.load_modules(("eye",))
    with torch.no_grad():
        modules["eye"].left.bias.add_(1)
    save(model, modules, tmp_path / "copy")
    back = tensors_of(tmp_path / "copy")
    assert torch.equal(back["eye.both.bias"][:3], toy_tensors()["eye.both.bias"][:3] + 1)
    assert torch.equal(back["body.words.weight"], toy_tensors()["body.words.weight"])
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "config.json",
        "model.safetensors",
        "notes.txt",
        "voice",
    ]
    assert (tmp_path / "copy" / "config.json").read_bytes() == (
        tmp_path / "toy" / "config.json"
    ).read_bytes()


def test_saved_shards_load_again(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    modules, _ = model.load_modules()
    save(model, modules, tmp_path / "copy", shard_bytes=700)
    assert len(list((tmp_path / "copy").glob("model-*.safetensors"))) > 2
    again, report = ModelFolder(tmp_path / "copy", TOY).load_modules()
    assert len(report.used) == len(toy_tensors()) - 1
    for name, tensor in modules["body"].state_dict().items():
        assert torch.equal(again["body"].state_dict()[name], tensor)


def test_no_shard_is_larger_than_asked_unless_one_tensor_is(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    save(model, model.load_modules()[0], tmp_path / "copy", shard_bytes=700)
    for file in (tmp_path / "copy").glob("model-*.safetensors"):
        tensors = load_file(file)
        assert sum(tensor.nbytes for tensor in tensors.values()) <= 700 or len(tensors) == 1


def test_a_new_folder_can_be_made_from_modules(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    modules, _ = model.load_modules()
    create(TOY, model.raw, modules, tmp_path / "new")
    assert set(tensors_of(tmp_path / "new")) == set(toy_tensors()) - {"body.unused.0.weight"}
    assert json.loads((tmp_path / "new" / "config.json").read_text()) == {"dim": 4, "layers": 2}
    ModelFolder(tmp_path / "new", TOY).load_modules()


def test_an_existing_folder_is_never_written_to(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    with pytest.raises(InputError, match="exists already"):
        save(model, model.load_modules()[0], tmp_path / "toy")


def test_full_disk_is_noticed_before_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_toy(tmp_path / "toy")
    modules, _ = model.load_modules()
    monkeypatch.setattr(store, "free_bytes", lambda _: store.SPARE_BYTES + 1000)
    with pytest.raises(CapacityError, match=r"only .* are free there; make room"):
        save(model, modules, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy"]


def test_disk_that_fills_up_half_way_leaves_nothing(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    modules, _ = model.load_modules()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # bytes a file may have
    try:
        with pytest.raises(CapacityError, match=r"copy could not be written .*; nothing was kept"):
            save(model, modules, tmp_path / "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy"]
