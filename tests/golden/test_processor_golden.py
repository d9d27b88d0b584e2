"""The processor gives what the official one gave: stored message lists, media and rule tables.

The stored ids belong to a vocabulary that is not part of this project. Here a byte vocabulary
stands in for it, so everything but the ids is compared; where the stored cases stand beside the
checkout with that vocabulary, the ids are compared, too.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from miniature.words import definition
from safetensors.numpy import load_file, save_file

from mingle.evaluation.parity import run_case
from mingle.evaluation.parity.check import Check
from mingle.evaluation.parity.processor import build_processor, check_messages
from mingle.evaluation.parity.processor_tables import check_tables
from mingle.evaluation.parity.reference_spectrum import reference_power
from mingle.processing.inputs import Processor
from mingle.processing.tokenizer import Tokenizer

CASE = Path(__file__).parent / "processor"
BESIDE = Path(__file__).parents[3] / "shared" / "goldens" / "processor"
STATED = json.loads((CASE / "case.json").read_text())
IDS = ("input_ids", "attention_mask", "lang_suffix_ids", "audio_placeholder_loc_lens")


@pytest.fixture(scope="module")
def processor() -> Processor:
    return build_processor(STATED, Tokenizer(definition()))


def run(case: Path, name: str, processor: Processor) -> list[Check]:
    checks = check_messages(case, name, processor, STATED)
    return [check for check in checks if not check.name.split(".")[1].startswith(IDS)]


@pytest.mark.parametrize("name", STATED["cases"])
def test_stored_messages(name, processor):
    checks = run(CASE, name, processor)
    assert checks
    assert not [check for check in checks if not check.passed]


def test_stored_tables(processor):
    checks = check_tables(json.loads((CASE / "tables.json").read_text()), processor)
    assert len(checks) == 14 + 14 + 8 * 5 + 8 + 5 * 2
    assert not [check for check in checks if not check.passed]


def test_stored_ids():
    if not (BESIDE.parent / "tokenizer" / "tokenizer.json").exists():
        pytest.skip(f"the stored vocabulary does not stand at {BESIDE.parent / 'tokenizer'}")
    report = run_case(BESIDE, "processor")
    assert not [check for check in report.checks if not check.passed]
    compared = [check for check in report.checks if check.name.endswith(".input_ids")]
    assert len(compared) == len(STATED["cases"]) - 1  # one case stores no ids


def test_an_unknown_table_fails(processor):
    (check,) = check_tables({"new_rule": []}, processor)
    assert not check.passed
    assert "new_rule: no such table" in check.name


def edited(tmp_path: Path, name: str, edit: Any) -> Path:
    """A copy of the case with one stored file changed."""
    case = tmp_path / "processor"
    shutil.copytree(CASE, case)
    stored = json.loads((case / f"{name}.json").read_text())
    edit(stored)
    (case / f"{name}.json").write_text(json.dumps(stored))
    return case


@pytest.mark.parametrize(
    ("name", "key", "hurt"),
    [
        ("image", "image_grid_thw", "image.image_grid_thw"),
        ("video", "video_grid_thw", "video.video_grid_thw"),
        ("audio", "audio_feats_lengths", "audio.audio_feats_lengths"),
        ("text", "prompt_template", "text.prompt_template"),
        ("two_images", "prompt_expanded", "two_images.prompt_expanded"),
        ("image", "resized_image_wh", "image.resized_image_wh"),
    ],
)
def test_a_changed_expectation_fails_its_own_check(tmp_path, processor, name, key, hurt):
    def edit(stored: dict[str, Any]) -> None:
        value = stored[key]
        stored[key] = value + "." if isinstance(value, str) else (np.array(value) + 1).tolist()

    checks = run(edited(tmp_path, name, edit), name, processor)
    assert [check.name.split(":")[0] for check in checks if not check.passed] == [hurt]


@pytest.mark.parametrize(("name", "key"), [("image", "pixel_values"), ("audio", "audio_feats")])
def test_a_changed_feature_fails_its_own_check(tmp_path, processor, name, key):
    case = edited(tmp_path, name, lambda stored: None)
    arrays = load_file(case / f"{name}.safetensors")
    arrays[key].flat[100] += 2e-5
    save_file(arrays, case / f"{name}.safetensors")
    failed = [check.name for check in run(case, name, processor) if not check.passed]
    assert failed == [f"{name}.{key}"]


def test_official_faults_are_repeated_for_the_comparison_only(tmp_path, processor):
    def edit(stored: dict[str, Any]) -> None:
        content = stored["messages"][0]["content"]
        content[1]["text"] = "See <image><|role_end|>"
        stored["prompt_template"] = stored["prompt_template"].replace(
            "<IMAGE>What kind of flower is this?", content[1]["text"]
        )
        stored["prompt_expanded"] = stored["prompt_template"]

    checks = run(edited(tmp_path, "image", edit), "image", processor)
    assert not [check for check in checks if not check.passed]


def test_the_stored_rounding_is_a_spectrum():
    windows = np.random.default_rng(0).standard_normal((50, 400)).astype(np.float32)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    exact = np.abs(np.fft.rfft(windows * hann)) ** 2
    np.testing.assert_allclose(reference_power(windows), exact, atol=1e-6 * exact.max())
