"""Adapters: nothing changes at first, files are PEFT's, merging equals adding."""

import json
from dataclasses import replace

import pytest
import torch
from miniature import write_miniature
from safetensors.torch import load_file, save_file

from mingle.checkpoints.load import open_model
from mingle.checkpoints.mapping import prefixed
from mingle.errors import CheckpointError, ConfigError
from mingle.messages import Request, user
from mingle.nn.attention import Packed
from mingle.training import lora
from mingle.training.recipe import Lora

CONFIG = Lora(match=("*.attention.qkv.weight", "*.experts.*"), rank=2, alpha=4.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_miniature(tmp_path_factory.mktemp("lora") / "model", ("thinker",))


def opened(folder):
    model = open_model(folder)
    thinker = model.load(("thinker",)).thinker
    return model, thinker, model.family.part("thinker").rules(model.config["thinker"])


def attached(folder, *, drawn: bool = True):
    model, thinker, rules = opened(folder)
    lora.attach(thinker, CONFIG)
    if drawn:
        torch.manual_seed(0)
        for one in lora.adapted(thinker):
            torch.nn.init.normal_(one.low_rank.up, std=0.1)
    return model, thinker, rules


@torch.no_grad()
def answer(model, thinker):
    prompt = model.processor().prepare(Request(messages=(user("hello"),)))
    ids = torch.from_numpy(prompt.ids)
    positions = torch.arange(len(ids)).expand(3, -1)
    hidden = thinker.embed_tokens(ids)
    return thinker(hidden, positions, torch.zeros_like(ids), Packed((len(ids),)))[0]


def test_a_new_adapter_changes_nothing_and_a_trained_one_does(folder):
    model, plain, _ = opened(folder)
    _, fresh, _ = attached(folder, drawn=False)
    _, trained, _ = attached(folder)
    assert torch.equal(answer(model, fresh), answer(model, plain))
    assert (answer(model, trained) - answer(model, plain)).abs().max() > 1e-2


def test_merged_model_answers_alike_under_its_old_names(folder):
    model, thinker, _ = attached(folder)
    before = answer(model, thinker)
    lora.merge(thinker)
    assert torch.allclose(answer(model, thinker), before, atol=1e-5)
    assert set(thinker.state_dict()) == set(opened(folder)[1].state_dict())


def test_files_are_those_of_peft_under_official_names(folder, tmp_path):
    _, thinker, rules = attached(folder)
    lora.save(thinker, rules, CONFIG, "base", tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    layer = "base_model.model.model.model.layers.1"
    assert tensors[f"{layer}.attention.query_key_value.lora_A.weight"].shape == (2, 64)
    assert tensors[f"{layer}.mlp.experts.7.up_proj.lora_B.weight"].shape == (16, 2)
    described = json.loads((tmp_path / "adapter_config.json").read_text())
    assert described["peft_type"] == "LORA"
    assert described["r"] == 2
    assert "model.model.layers.1.mlp.experts.7.up_proj" in described["target_modules"]
    # 3 layers of attention; 2 layers of 8 experts with gate, up and down
    assert len(tensors) == 2 * (3 + 2 * 8 * 3)


def test_official_delta_equals_what_the_adapter_adds_here(folder, tmp_path):
    _, thinker, rules = attached(folder)
    lora.save(thinker, rules, CONFIG, "base", tmp_path)
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    name = "base_model.model.model.model.layers.2.mlp.experts.5.up_proj"
    delta = 2.0 * tensors[f"{name}.lora_B.weight"] @ tensors[f"{name}.lora_A.weight"]
    stack = thinker.layers[2].feed_forward.experts
    added = stack.gate_up - stack.parametrizations.gate_up.original
    assert torch.allclose(added[5, 16:], delta, atol=1e-6)  # up stands below gate


def test_saved_adapter_loads_into_a_fresh_one(folder, tmp_path):
    model, thinker, rules = attached(folder)
    lora.save(thinker, rules, CONFIG, "base", tmp_path)
    _, fresh, _ = attached(folder, drawn=False)
    lora.load(fresh, rules, CONFIG, tmp_path)
    assert torch.equal(answer(model, fresh), answer(model, thinker))


def test_adapter_of_other_weights_is_refused_by_name(folder, tmp_path):
    _, thinker, rules = attached(folder)
    lora.save(thinker, rules, CONFIG, "base", tmp_path)
    _, other, _ = opened(folder)
    config = Lora(match=("*.attention.out.weight",), rank=2, alpha=4.0)
    lora.attach(other, config)
    with pytest.raises(CheckpointError, match=r"has no '.*dense.lora_A.weight'"):
        lora.load(other, rules, config, tmp_path)


def test_adapter_of_another_scale_is_refused(folder, tmp_path):
    _, thinker, rules = attached(folder)
    lora.save(thinker, rules, CONFIG, "base", tmp_path)
    with pytest.raises(CheckpointError, match="write alpha: 4"):
        lora.load(thinker, rules, replace(CONFIG, alpha=8.0), tmp_path)
    with pytest.raises(CheckpointError, match=r"r = 2, .* rank: 4"):
        lora.load(thinker, rules, replace(CONFIG, rank=4), tmp_path)


def test_adapters_of_gate_and_up_of_their_own_become_one(folder, tmp_path):
    """PEFT gives every official matrix its own lora_A; saved again, the file says the same."""
    model, thinker, rules = attached(folder)
    lora.save(thinker, rules, CONFIG, "base", tmp_path / "given")
    file = tmp_path / "given" / lora.WEIGHTS
    tensors = load_file(file)
    for name in [n for n in tensors if n.endswith("up_proj.lora_A.weight")]:
        tensors[name] = torch.randn(tensors[name].shape)
    save_file(tensors, file)
    lora.load(thinker, rules, CONFIG, tmp_path / "given")
    name = "base_model.model.model.model.layers.2.mlp.experts.5.{}_proj.lora_{}.weight"
    gate, up = (
        2.0 * tensors[name.format(n, "B")] @ tensors[name.format(n, "A")] for n in ("gate", "up")
    )
    stack = thinker.layers[2].feed_forward.experts
    added = stack.gate_up - stack.parametrizations.gate_up.original
    assert torch.allclose(added[5], torch.cat((gate, up)), atol=1e-6)
    lora.save(thinker, rules, CONFIG, "base", tmp_path / "again")
    described = json.loads((tmp_path / "again" / lora.DESCRIPTION).read_text())
    wide = "model.model.layers.2.mlp.experts.5.up_proj"
    assert (described["rank_pattern"][wide], described["alpha_pattern"][wide]) == (4, 8.0)
    _, fresh, _ = attached(folder, drawn=False)
    lora.load(fresh, rules, CONFIG, tmp_path / "again")
    assert torch.allclose(answer(model, fresh), answer(model, thinker), atol=1e-6)


def test_vectors_have_no_adapter(folder):
    _, thinker, _ = opened(folder)
    with pytest.raises(ConfigError, match=r"'norm.weight' has shape \(64,\)"):
        lora.attach(thinker, Lora(match=("norm.weight",), rank=2, alpha=4.0))


def test_rules_of_a_part_name_the_whole_models_weights(folder, tmp_path):
    model, _, rules = opened(folder)
    whole = model.load(("thinker",))
    lora.attach(whole, Lora(match=("thinker.head.weight",), rank=1, alpha=1.0))
    lora.save(whole, prefixed(rules, ours="thinker."), CONFIG, "base", tmp_path)
    names = set(load_file(tmp_path / "adapter_model.safetensors"))
    assert "base_model.model.model.lm_head.lora_A.weight" in names
