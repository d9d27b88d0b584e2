"""Rules run both ways, use every key, and say clearly what does not fit."""

import pytest
import torch

from mingle.checkpoints.mapping import (
    Ignore,
    Join,
    Rename,
    Split,
    Stack,
    apply,
    invert,
    prefixed,
)
from mingle.errors import CheckpointError

EXPERTS = 3
RULES = (
    Rename("layers.{i}.norm.{weight|bias}", "blocks.{i}.norm.{weight|bias}"),
    Rename("conv.weight", "patch.weight", reshape=((4, 3, 2, 2), (4, 12))),
    Stack(
        (
            "layers.{i}.experts.{e}.gate.weight",
            "layers.{i}.experts.{e}.up.weight",
        ),
        "blocks.{i}.experts.gate_up",
        count=EXPERTS,
    ),
    Stack("layers.{i}.experts.{e}.down.weight", "blocks.{i}.experts.down", count=EXPERTS),
    Join(
        ("attn.q.weight", "attn.k.weight", "attn.v.weight"),
        "attention.qkv.weight",
        sizes=(2, 1, 1),  # heads
    ),
    Split("wide.weight", ("left.weight", "right.weight"), sizes=(3, 2), axis=1),
    Ignore("extra.*", "computed and thrown away by the official code"),
)


def theirs() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = {
        "conv.weight": (4, 3, 2, 2),
        "attn.q.weight": (8, 6),
        "attn.k.weight": (4, 6),
        "attn.v.weight": (4, 6),
        "wide.weight": (2, 5),
        "extra.0.weight": (7,),
    }
    for layer in range(2):
        shapes |= {f"layers.{layer}.norm.{word}": (6,) for word in ("weight", "bias")}
        for expert in range(EXPERTS):
            name = f"layers.{layer}.experts.{expert}"
            shapes |= {f"{name}.gate.weight": (5, 6), f"{name}.up.weight": (5, 6)}
            shapes |= {f"{name}.down.weight": (6, 5)}
    return {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def test_every_kind_of_rule_places_its_tensors() -> None:
    given = theirs()
    ours, _ = apply(RULES, given)
    gate_up = ours["blocks.1.experts.gate_up"]
    assert gate_up.shape == (EXPERTS, 10, 6)
    assert torch.equal(gate_up[2, :5], given["layers.1.experts.2.gate.weight"])
    assert torch.equal(gate_up[2, 5:], given["layers.1.experts.2.up.weight"])
    assert torch.equal(
        ours["attention.qkv.weight"],
        torch.cat([given[f"attn.{name}.weight"] for name in "qkv"]),
    )
    assert torch.equal(ours["left.weight"], given["wide.weight"][:, :3])
    assert torch.equal(ours["right.weight"], given["wide.weight"][:, 3:])
    assert torch.equal(ours["patch.weight"], given["conv.weight"].flatten(1))
    assert torch.equal(ours["blocks.0.norm.bias"], given["layers.0.norm.bias"])


def test_report_names_every_key_once() -> None:
    given = theirs()
    ours, report = apply(RULES, given)
    assert set(report.used) | set(report.ignored) == set(given)
    assert {name for names in report.used.values() for name in names} == set(ours)
    assert report.ignored == {"extra.0.weight": "computed and thrown away by the official code"}
    assert report.used["wide.weight"] == ("left.weight", "right.weight")


def test_invert_gives_back_every_used_tensor() -> None:
    given = theirs()
    back = invert(RULES, apply(RULES, given)[0])
    assert set(back) == set(given) - {"extra.0.weight"}
    for name, tensor in back.items():
        assert tensor.shape == given[name].shape, name
        assert torch.equal(tensor, given[name]), name


def test_prefixes_stand_before_both_sides() -> None:
    given = {f"vision.{name}": tensor for name, tensor in theirs().items()}
    ours, _ = apply(prefixed(RULES, theirs="vision.", ours="tower."), given)
    assert "tower.blocks.0.norm.weight" in ours


def test_unknown_key_is_named_with_its_nearest_neighbour() -> None:
    given = theirs() | {"layers.0.norm.wieght": torch.zeros(6)}
    with pytest.raises(CheckpointError, match=r"unknown key 'layers.0.norm.wieght'.*norm\.weight"):
        apply(RULES, given)


def test_expert_beyond_the_count_is_unknown() -> None:
    given = theirs() | {"layers.0.experts.3.down.weight": torch.zeros(6, 5)}
    with pytest.raises(CheckpointError, match=r"unknown key 'layers\.0\.experts\.3\.down"):
        apply(RULES, given)


@pytest.mark.parametrize("name", ["layers.1.experts.2.up.weight", "attn.k.weight", "conv.weight"])
def test_missing_key_is_named(name: str) -> None:
    given = theirs()
    del given[name]
    with pytest.raises(CheckpointError, match=f"missing key '{name}'"):
        apply(RULES, given)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("layers.0.experts.1.gate.weight", (4, 6)),
        ("attn.k.weight", (4, 5)),
        ("wide.weight", (2, 6)),
        ("conv.weight", (4, 3, 2, 1)),
    ],
)
def test_wrong_shape_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        CheckpointError, match=rf"'{name}' has shape {list(shape)}".replace("[", r"\[")
    ):
        apply(RULES, theirs() | {name: torch.zeros(shape)})


def test_one_stack_holds_one_dtype() -> None:
    given = theirs()
    given["layers.0.experts.1.down.weight"] = given["layers.0.experts.1.down.weight"].half()
    with pytest.raises(CheckpointError, match=r"torch.float16.*torch.float32"):
        apply(RULES, given)


def test_invert_refuses_half_of_a_split() -> None:
    with pytest.raises(CheckpointError, match=r"'wide\.weight' is only partly covered"):
        invert(RULES, {"left.weight": torch.zeros(2, 3)})


def test_invert_refuses_a_name_without_rule() -> None:
    with pytest.raises(CheckpointError, match=r"no rule makes our tensor 'blocks\.0\.norm\.scale'"):
        invert(RULES, {"blocks.0.norm.scale": torch.zeros(6)})


def test_two_rules_for_one_key_are_our_own_fault() -> None:
    rules = (Rename("a.{i}", "b.{i}"), Rename("a.0", "c"))
    with pytest.raises(AssertionError, match=r"several rules claim 'a\.0'"):
        apply(rules, {"a.0": torch.zeros(1)})


def test_ignore_wins_over_the_other_rules() -> None:
    rules = (Rename("a.{i}", "b.{i}"), Ignore("a.1", "only one layer runs"))
    ours, report = apply(rules, {"a.0": torch.zeros(1), "a.1": torch.zeros(1)})
    assert set(ours) == {"b.0"}
    assert report.ignored == {"a.1": "only one layer runs"}
