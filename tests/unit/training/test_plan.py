"""The plan for a cluster: parameters counted, memory and traffic in the right proportions."""

import json

import pytest

from mingle.cli import main
from mingle.training.plan import FLASH_OMNI_2, STATE_BYTES, Load, count, plan


def best(gpus: int, tokens: int = 8192, gpu: str = "h100") -> dict:
    return plan("flash-omni-2", gpu, gpus=gpus, load=Load(tokens=tokens, length=4096))["plans"][0]


def split(gpus: int, ranks: int) -> dict:
    load = Load(tokens=8192, length=4096)
    found = plan("flash-omni-2", "h100", gpus=gpus, load=load)["plans"]
    return next(one for one in found if one["expert_ranks"] == ranks)


def test_the_released_thinker_has_about_103_b_parameters_5_b_at_work():
    shapes = count(FLASH_OMNI_2)
    # 31 layers of 256 experts of three 4096 x 1024 matrices
    assert shapes.experts == 31 * 256 * 3 * 4096 * 1024
    assert (shapes.dense + shapes.experts) / 1e9 == pytest.approx(103, abs=0.5)
    assert (shapes.active_dense + shapes.active_experts) / 1e9 == pytest.approx(5.5, abs=0.3)


def test_states_are_sixteen_bytes_a_parameter_over_all_gpus():
    shapes = count(FLASH_OMNI_2)
    expected = STATE_BYTES * (shapes.dense + shapes.experts) / 64 / 2**30
    assert best(64)["states_gib"] == pytest.approx(expected)


def test_eight_gpus_are_too_few_and_sixty_four_are_enough():
    assert not best(8)["fits"]
    assert best(64)["fits"]


def test_splitting_experts_trades_gathering_for_travel():
    assert split(64, 1)["all_to_all_gb"] == 0
    assert split(64, 8)["all_to_all_gb"] > 0
    assert split(64, 8)["gather_gb"] < split(64, 1)["gather_gb"] / 5


def test_more_tokens_a_step_hide_more_gathering():
    assert best(64, 32768)["mfu"] > best(64, 8192)["mfu"]
    assert 0 < best(64, 8192)["mfu"] < 0.6


def test_figures_of_one_plan_worked_out_by_hand():
    # 512 H100, experts whole on each, 32768 tokens in sequences of 4096
    load = Load(tokens=32768, length=4096)
    plans = plan("flash-omni-2", "h100", gpus=512, load=load)["plans"]
    one = next(found for found in plans if found["expert_ranks"] == 1)
    experts = 31 * 256 * 3 * 4096 * 1024
    table, router = 157184 * 4096, 256 * 4096  # the embedding, as large as the head
    heads = 32 * (4096 * (32 + 4 + 4) * 128 + 32 * 128 * 4096)
    feed_forward = 3 * 4096 * (9216 + 31 * 1024)  # of the first layer, and the shared experts
    dense = 2 * table + heads + feed_forward + 31 * 3 * router
    everything = dense + experts
    assert one["states_gib"] == pytest.approx(16 * everything / 512 / 2**30, rel=1e-4)
    layer = 2 * (dense / 32 + experts / 31)  # bytes of bf16
    assert one["gathered_gib"] == pytest.approx(3 * layer / 2**30, rel=1e-4)
    assert one["gather_gb"] == pytest.approx(3 * 2 * everything / 1e9 * 511 / 512, rel=1e-4)
    others, chosen = dense - table - 31 * 2 * router, experts * 8 / 256  # at work for a token
    attention = 2 * 4096 * 4096 * 32 * 32768  # width, length, layers, tokens
    seconds = 8 * others * 32768 / (989e12 * 0.60)
    seconds += (8 * chosen * 32768 + 4 * attention) / (989e12 * 0.45)
    assert one["compute_s"] == pytest.approx(seconds, rel=1e-4)
    assert one["gather_s"] == pytest.approx(one["gather_gb"] / (8 * 50 * 0.7))
    useful = 6 * (others + chosen) * 32768 + 3 * attention
    assert one["mfu"] == pytest.approx(useful / (seconds * 989e12), rel=1e-4)


def test_command_prints_one_json_object_and_refuses_half_nodes(capsys):
    assert main(["plan", "train", "--gpus", "16", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plans"][0]["gpus"] == 16
    assert main(["plan", "train", "--gpus", "12"]) == 2
    assert "whole nodes" in capsys.readouterr().err
    assert main(["plan", "train", "--model", "giant"]) == 2
    assert "known: flash-omni-2" in capsys.readouterr().err
