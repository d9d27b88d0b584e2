"""Loading places every tensor, reports every key, and refuses what does not fit before reading."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from toy_family import TOY, Body, toy_tensors, write_toy

from mingle.checkpoints.load import ModelFolder, find_family, open_model
from mingle.checkpoints.shards import TensorFiles
from mingle.checkpoints.streaming import build_on_meta
from mingle.errors import CheckpointError, ConfigError, InputError


def shard(model: ModelFolder, number: int = 1) -> Path:
    return model.folder / f"model-{number:05d}-of-00003.safetensors"


def test_every_tensor_stands_in_its_place(tmp_path: Path) -> None:
    given = toy_tensors()
    modules, _ = write_toy(tmp_path / "toy").load_modules(("body", "eye", "voice"))
    body, eye = modules["body"], modules["eye"]
    layer = body.layers[1]
    expert = "body.layers.1.experts.2"
    assert torch.equal(layer.gate_up[2, :8], given[f"{expert}.gate.weight"])
    assert torch.equal(layer.gate_up[2, 8:], given[f"{expert}.up.weight"])
    assert torch.equal(layer.down[2], given[f"{expert}.down.weight"])
    joined = torch.cat([given[f"body.layers.1.{one}.weight"] for one in "qkv"])
    assert torch.equal(layer.qkv.weight, joined)
    assert torch.equal(eye.right.bias, given["eye.both.bias"][3:])
    assert torch.equal(body.steps, torch.tensor([3, 4]))
    assert modules["voice"].weight.shape == (4, 4)


def test_tied_and_computed_tensors_survive(tmp_path: Path) -> None:
    body = write_toy(tmp_path / "toy").load_modules(("body",))[0]["body"]
    assert body.head.weight is body.embedding.weight
    assert torch.equal(body.table, torch.arange(4) * 0.5)
    assert not any(tensor.is_meta for tensor in (*body.parameters(), *body.buffers()))


def test_report_accounts_for_every_key_and_parameter(tmp_path: Path) -> None:
    modules, report = write_toy(tmp_path / "toy").load_modules(("body",))
    assert set(report.used) | set(report.ignored) == set(toy_tensors())
    assert not set(report.used) & set(report.ignored)
    assert report.ignored["body.unused.0.weight"] == "computed and thrown away"
    assert report.ignored["eye.both.bias"] == "belongs to the part 'eye', not asked for"
    assert set(report.filled) == {f"body.{name}" for name in modules["body"].state_dict()}
    unique = {id(tensor): tensor for tensor in modules["body"].state_dict(keep_vars=True).values()}
    assert report.num_bytes == sum(tensor.nbytes for tensor in unique.values())


def test_only_the_parts_asked_for_are_read(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    for name in ("config.json", "voice.pt"):
        (model.folder / "voice" / name).unlink()
    assert list(model.load_modules()[0]) == ["body", "eye"]
    with pytest.raises(
        CheckpointError, match=r"part 'voice' is not in .*voice/config\.json is mis"
    ):
        model.load_modules(("voice",))


def test_dtype_casts_floats_and_nothing_else(tmp_path: Path) -> None:
    body = write_toy(tmp_path / "toy").load_modules(("body",), dtype=torch.bfloat16)[0]["body"]
    assert body.layers[0].down.dtype == torch.bfloat16
    assert body.steps.dtype == torch.int64


def test_stored_dtype_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy", tensors=toy_tensors(dtype=torch.float16))
    assert model.load_modules(("body",))[0]["body"].layers[0].qkv.weight.dtype == torch.float16


def test_single_file_needs_no_index(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    for file in model.folder.glob("model*"):
        file.unlink()
    save_file(toy_tensors(), model.folder / "model.safetensors")
    _, report = model.load_modules()
    assert set(report.used) | set(report.ignored) == set(toy_tensors())


def test_meta_build_allocates_no_parameters() -> None:
    body = build_on_meta(lambda: Body(4, 2))
    assert all(parameter.is_meta for parameter in body.parameters())
    assert body.head.weight is body.embedding.weight
    assert not body.table.is_meta


def test_missing_shard_is_named(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    shard(model, 2).unlink()
    with pytest.raises(CheckpointError, match=r"00002-of-00003\.safetensors is missing \(1 of 3"):
        model.load_modules()


@pytest.mark.parametrize("kept", [4, 100, -1])
def test_truncated_shard_is_refused_before_anything_is_read(
    tmp_path: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_toy(tmp_path / "toy")
    content = shard(model, 3).read_bytes()
    shard(model, 3).write_bytes(content[:kept])
    monkeypatch.setattr(TensorFiles, "stream", lambda *_: pytest.fail("tensors were read"))
    with pytest.raises(CheckpointError, match=r"00003-of-00003\.safetensors"):
        model.load_modules()


def test_index_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    index = model.folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["body.more"] = shard(model).name
    index.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"promises 'body\.more'"):
        model.load_modules()


def test_index_may_not_point_outside_of_its_folder(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    index = model.folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"body.words.weight": "../other.safetensors"}}))
    with pytest.raises(CheckpointError, match="must lie beside its index"):
        model.load_modules()


def change(model: ModelFolder, name: str, tensor: torch.Tensor | None) -> None:
    """Change or remove one tensor wherever it lies, or add it to the first shard."""
    index = model.folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    file = model.folder / content["weight_map"].setdefault(name, shard(model).name)
    tensors = load_file(file)
    tensors.pop(name, None)
    if tensor is None:
        del content["weight_map"][name]
    else:
        tensors[name] = tensor
    index.write_text(json.dumps(content))
    save_file(tensors, file)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("body.layers.0.norm.bias", torch.zeros(5), r"shape \[5\].*asks for \[4\]"),
        ("body.layers.0.experts.1.up.weight", torch.zeros(8, 5), r"shape \[8, 5\].*\[8, 4\]"),
        ("body.words.weight", torch.zeros(7, 4, dtype=torch.int8), "is int8, expected float64 or"),
        ("body.steps", torch.zeros(2), "is float32, expected int64"),
        ("body.layers.0.norm.bais", torch.zeros(4), r"unknown key 'body.layers.0.norm.bais' in"),
        ("body.layers.2.norm.bias", torch.zeros(4), "config of another model"),
        ("body.layers.1.k.weight", None, r"missing key 'body\.layers\.1\.k\.weight'"),
        ("body.layers.1.norm.weight", None, r"missing key 'body\.layers\.1\.norm\.weight'"),
        ("body.words.weight", None, r"missing key 'body\.words\.weight'"),
        (
            "body.layers.0.experts.1.up.weight",
            torch.zeros(8, 4, dtype=torch.float16),
            "have dtypes float16, float32",
        ),
    ],
)
def test_tensor_that_does_not_fit_is_named_before_anything_is_read(
    tmp_path: Path,
    name: str,
    tensor: torch.Tensor | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = write_toy(tmp_path / "toy")
    change(model, name, tensor)
    monkeypatch.setattr(TensorFiles, "stream", lambda *_: pytest.fail("tensors were read"))
    with pytest.raises(CheckpointError, match=message):
        model.load_modules()


def test_config_of_another_model_is_refused(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    (model.folder / "config.json").write_text(json.dumps({"dim": 6, "layers": 2}))
    with pytest.raises(CheckpointError, match="do config and weights belong to the same model"):
        ModelFolder(model.folder, TOY).load_modules()


def test_unknown_config_key_is_refused(tmp_path: Path) -> None:
    model = write_toy(tmp_path / "toy")
    (model.folder / "config.json").write_text(json.dumps({"dim": 4, "layers": 2, "depth": 1}))
    with pytest.raises(ConfigError, match=r"unknown key .depth. in config\.json"):
        ModelFolder(model.folder, TOY).load_modules()


def test_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    model = write_toy(tmp_path / "toy")
    (model.folder / "voice" / "voice.pt").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="cannot be read safely"):
        model.load_modules(("voice",))
    assert not (tmp_path / "ran").exists()


def test_part_that_is_built_by_a_function_needs_no_rules(tmp_path: Path) -> None:
    from dataclasses import replace

    def load(folder: Path, config: int, dtype: torch.dtype | None, device: torch.device):
        assert (folder / "notes.txt").exists()
        return nn.Linear(config, 1, dtype=dtype, device=device)

    voice = replace(TOY.part("voice"), load=load, rules=None, weights=())
    family = replace(TOY, parts=(*TOY.parts[:2], voice))
    model = ModelFolder(write_toy(tmp_path / "toy").folder, family)
    modules, _ = model.load_modules(("voice",), dtype=torch.float64)
    assert modules["voice"].weight.dtype == torch.float64


def test_names_that_are_neither_model_nor_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a folder nor the name of a model"):
        find_family("no-such-model")
    with pytest.raises(CheckpointError, match=r"no checkpoint of a known family .there is no conf"):
        open_model(tmp_path)
