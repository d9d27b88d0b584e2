"""Rules of the official processor beyond the stored tables, seen in its own answers."""

import json
from pathlib import Path

import pytest
from miniature.words import definition

from mingle.errors import InputError
from mingle.evaluation.parity.processor import build_processor
from mingle.evaluation.parity.processor_tables import check_tables
from mingle.evaluation.parity.reference_prompt import Conversation, as_request, list_frame_count
from mingle.processing.inputs import Processor
from mingle.processing.tokenizer import Tokenizer

CASE = Path(__file__).parents[2] / "golden" / "processor"


@pytest.fixture(scope="module")
def processor() -> Processor:
    stated = json.loads((CASE / "case.json").read_text())
    return build_processor(stated, Tokenizer(definition()))


@pytest.mark.parametrize(
    ("options", "total", "count"),
    [
        ({"max_video_fps": 1.0}, 22, 10),  # eleven, made even
        ({"max_video_fps": 0.5}, 9, 4),  # at least four
        ({"min_frames": 5, "max_video_fps": 0.5}, 9, 6),
        ({"nframes": 5, "max_frames": 3}, 9, 2),
    ],
)
def test_frames_of_a_list_are_counted_in_pairs(options, total, count):
    assert list_frame_count(options, total) == count


def test_a_list_of_one_frame_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        list_frame_count({}, 1)


def test_tables_tell_refusals_and_thin_pictures(processor):
    bounds = {"min_pixels": 3136, "max_pixels": 1_003_520}
    tables = {
        "image_processor_smart_resize": [{"h": 533, "w": 15, "out_hw": [352, 32], **bounds}],
        "fetch_image_smart_resize": [{"h": 20, "w": 4100, "out_hw": "error:ValueError"}],
        "frame_list_smart_nframes": [{"ele": {}, "total_frames": 1, "out": "error:ValueError"}],
    }
    checks = check_tables(tables, processor)
    assert len(checks) == 3
    assert all(check.passed for check in checks)


def test_the_bounds_of_a_part_size_its_picture(processor):
    part = {"type": "image", "image": "media/flower_100x75.png", "min_pixels": 20_000}
    conversation = Conversation(
        messages=[{"role": "HUMAN", "content": [part]}],
        system=None,
        thinking=False,
        suffix="",
        folder=CASE,
    )
    request = as_request(conversation, processor.image, processor.video)
    patches = processor.prepare(request).images[0]
    assert patches.grid == (1, 8, 12)  # 128 x 192 pixels, not 64 x 96
