"""A run that begins with weights of another: from a file, a run's folder, a model's part."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from miniature.ten_samples import write_start
from safetensors.torch import load_file, save_file
from test_training_loop import QUIET, tiny, weights

from mingle.checkpoints.load import open_model
from mingle.errors import CheckpointError, ConfigError
from mingle.training import loop
from mingle.training.export import export_model
from mingle.training.recipe import Recipe, Start
from mingle.training.start import begin


@pytest.fixture(scope="module")
def earlier(tmp_path_factory) -> Path:
    """A finished run, `run`, and its export, `export`."""
    folder = tmp_path_factory.mktemp("earlier")
    loop.train(tiny(folder), folder / "run", QUIET)
    export_model(folder / "run", folder / "export")
    return folder


def head_only(folder: Path, start: object) -> Recipe:
    """Trains all but the embedding, which then is as the run began."""
    recipe = tiny(folder, start=start, seed=9)
    return replace(recipe, stages=(replace(recipe.stages[1], ema=None),))


@pytest.mark.parametrize("source", ["run", "export", "export/model.safetensors"])
def test_run_begins_with_the_weights_of_a_run_a_folder_or_a_file(earlier, tmp_path, source):
    task = loop.build(tiny(tmp_path, start=str(earlier / source), seed=9))
    own, before = task.model.state_dict(), weights(earlier / "run")
    assert own.keys() == before.keys()
    assert all(torch.equal(own[name], before[name]) for name in own)


def test_frozen_weights_of_a_start_are_there_after_a_stop_and_in_the_export(earlier, tmp_path):
    recipe, run = head_only(tmp_path, str(earlier / "export")), tmp_path / "run"
    for _ in range(2):
        loop.train(recipe, run, replace(QUIET, minutes=0.0))
    export_model(run, tmp_path / "export")
    before = load_file(earlier / "export/model.safetensors")
    after = load_file(tmp_path / "export/model.safetensors")
    assert torch.equal(before["embedding.weight"], after["embedding.weight"])
    assert not torch.equal(before["decoder.norm.weight"], after["decoder.norm.weight"])


def test_a_part_fills_a_module_and_the_rest_stays_as_built(earlier, tmp_path):
    start = Start(source=str(earlier / "run"), part="decoder", into="decoder")
    task, fresh = loop.build(tiny(tmp_path, start=(start,))), loop.build(tiny(tmp_path))
    before = weights(earlier / "run")
    assert torch.equal(task.model.decoder.norm.weight, before["decoder.norm.weight"])
    assert torch.equal(task.model.embedding.weight, fresh.model.embedding.weight)


def test_a_part_of_a_model_folder_is_read_by_its_name_here(tmp_path):
    write_start(tmp_path / "model")
    modules, _ = open_model(tmp_path / "model").load_modules(("talker",), dtype=torch.float32)
    vae = modules["talker"].get_submodule("vae")
    wanted = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    for tensor in vae.state_dict().values():
        tensor.zero_()
    begin(vae, [Start(source=str(tmp_path / "model"), part="talker.vae")], None)
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in vae.state_dict().items())
    with pytest.raises(ConfigError, match=r"is a whole model; name the part.*talker"):
        begin(vae, [Start(source=str(tmp_path / "model"))], None)


def changed(earlier: Path, folder: Path, **changes: torch.Tensor | None) -> str:
    tensors = load_file(earlier / "export/model.safetensors")
    for name, tensor in changes.items():
        tensors.pop(name.replace("__", "."), None)
        if tensor is not None:
            tensors[name.replace("__", ".")] = tensor
    save_file(tensors, folder / "changed.safetensors")
    return str(folder / "changed.safetensors")


def test_missing_names_are_refused_unless_named_absent(earlier, tmp_path):
    source = changed(earlier, tmp_path, embedding__weight=None)
    with pytest.raises(CheckpointError, match=r"lacks 1 of \d+ tensors, such as embedding.weight"):
        loop.build(tiny(tmp_path, start=source))
    loop.build(tiny(tmp_path, start=(Start(source=source, absent=("embedding.*",)),)))


def test_names_too_many_are_refused_unless_named_unused(earlier, tmp_path):
    source = changed(earlier, tmp_path, head__weight=torch.ones(2))
    with pytest.raises(CheckpointError, match=r"holds 1 tensors that nothing here takes.*head"):
        loop.build(tiny(tmp_path, start=source))
    loop.build(tiny(tmp_path, start=(Start(source=source, unused=("head.*",)),)))


def test_another_shape_is_refused_by_name(earlier, tmp_path):
    source = changed(earlier, tmp_path, decoder__norm__weight=torch.ones(7))
    with pytest.raises(CheckpointError, match=r"'decoder.norm.weight' has shape \(7,\)"):
        loop.build(tiny(tmp_path, start=source))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/place", "is no safetensors file, and no folder with"),
        ("text.txt", "is not a safetensors file"),
    ],
)
def test_wrong_source_is_refused(tmp_path, source, message):
    recipe = tiny(tmp_path, start=str(tmp_path / source))
    with pytest.raises(CheckpointError, match=message):
        loop.train(recipe, tmp_path / "run", QUIET)
    loop.train(tiny(tmp_path), tmp_path / "run", replace(QUIET, minutes=0.0))  # as if never begun


def test_a_source_that_changed_is_refused_while_frozen_weights_need_it(earlier, tmp_path):
    source = changed(earlier, tmp_path)
    recipe = head_only(tmp_path, source)
    loop.train(recipe, tmp_path / "run", replace(QUIET, minutes=0.0))
    changed(earlier, tmp_path, embedding__weight=torch.zeros(256, 8))
    with pytest.raises(CheckpointError, match="no longer those that"):
        loop.train(recipe, tmp_path / "run", QUIET)


def test_a_run_that_trains_everything_needs_its_source_no_more(earlier, tmp_path):
    source = changed(earlier, tmp_path)
    recipe = tiny(tmp_path, start=source)
    loop.train(recipe, tmp_path / "run", replace(QUIET, minutes=0.0))
    Path(source).unlink()
    assert loop.train(recipe, tmp_path / "run", QUIET).stage == 2
