"""A checkpoint may store the head that is tied to its embedding once more."""

import json
from pathlib import Path

import torch

from mingle.checkpoints.flash_omni_2 import thinker as family
from mingle.checkpoints.mapping import apply, invert

CASE = Path(__file__).parents[2] / "golden" / "llm"


def test_a_tied_head_in_the_file_is_left_aside():
    raw = json.loads((CASE / "config.json").read_text()) | {"tie_word_embeddings": True}
    config = family.read_config({"llm_config": raw})
    ours = dict(family.build(config).state_dict())
    rules = family.rules(config)
    stored = invert(rules, ours)
    assert "model.lm_head.weight" not in stored
    again, _ = apply(rules, stored | {"model.lm_head.weight": torch.zeros(2, 2)})
    assert again.keys() == ours.keys()
