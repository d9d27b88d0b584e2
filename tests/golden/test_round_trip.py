"""The official-layout checkpoint of the stored case `full` comes back byte for byte."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from mingle.checkpoints.load import open_model
from mingle.checkpoints.save import save

CASE = Path(__file__).parent / "full"


def test_official_tensors_and_config_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    shutil.copyfile(CASE / "config.json", folder / "config.json")
    shutil.copyfile(CASE / "weights.safetensors", folder / "model.safetensors")
    model = open_model(folder)
    modules, report = model.load_modules(("thinker", "vision", "audio"))
    save(model, modules, tmp_path / "copy", shard_bytes=500_000)
    given = load_file(CASE / "weights.safetensors")
    assert set(report.used) | set(report.ignored) == set(given)
    index = json.loads((tmp_path / "copy" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(given)
    shards = sorted(set(index["weight_map"].values()))
    back = {k: v for name in shards for k, v in load_file(tmp_path / "copy" / name).items()}
    for name, tensor in given.items():
        assert torch.equal(back[name], tensor), name
    assert (tmp_path / "copy" / "config.json").read_bytes() == (CASE / "config.json").read_bytes()
