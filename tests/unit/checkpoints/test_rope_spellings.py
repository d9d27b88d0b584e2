"""Newer libraries write the kind of rope twice, as type and as rope_type."""

import json
from pathlib import Path

import pytest

from mingle.checkpoints.flash_omni_2 import thinker as family
from mingle.errors import ConfigError

RAW = json.loads((Path(__file__).parents[2] / "golden" / "llm" / "config.json").read_text())


def test_both_spellings_are_read_when_they_agree():
    scaling = {**RAW["rope_scaling"], "rope_type": RAW["rope_scaling"]["type"]}
    config = family.read_config({"llm_config": {**RAW, "rope_scaling": scaling}})
    assert config == family.read_config({"llm_config": RAW})


def test_spellings_that_differ_are_refused():
    scaling = {**RAW["rope_scaling"], "rope_type": "3D"}
    with pytest.raises(ConfigError, match="rope_type"):
        family.read_config({"llm_config": {**RAW, "rope_scaling": scaling}})
