"""The painter computes what the released one computed: stored miniature cases."""

from pathlib import Path

import pytest

from mingle.evaluation.parity import run_case

CASES = (
    "image_condition",
    "byt5_mapper",
    "zimage_transformer_edit",
    "image_vae",
    "flow_scheduler",
    "zimage_sampling_edit",
    "image_sizes_and_glyph_text",
)


@pytest.mark.parametrize("name", CASES)
def test_painter_equals_the_stored_outputs(name):
    report = run_case(Path(__file__).parent / name, name)
    assert report.passed, [check for check in report.checks if not check.passed]
