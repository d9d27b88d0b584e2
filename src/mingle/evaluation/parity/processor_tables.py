"""Parity of the processor's rules: sizes, frame sampling, frame counts, as stored tables."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mingle.checkpoints.flash_omni_2.processor import VIDEO
from mingle.errors import InputError
from mingle.evaluation.parity.check import Check, Tolerance, compare, compare_facts, failure
from mingle.evaluation.parity.reference_prompt import list_frame_count
from mingle.processing.image import fit_size
from mingle.processing.inputs import Processor
from mingle.processing.video import VideoSettings, film_size, pad_last, pair_seconds, sample_film

TIMES = Tolerance(atol=1e-9)  # seconds and rates, float64


def check_tables(tables: Mapping[str, Any], processor: Processor) -> list[Check]:
    """Every row of every table; a table of no known name fails."""
    checks = []
    for table, rows in tables.items():
        rule = RULES.get(table)
        if rule is None:
            checks.append(failure(f"{table}: no such table; known: {', '.join(RULES)}"))
            continue
        for number, row in enumerate(rows):
            checks += rule(f"{table}[{number}]", row, processor)
    return checks


def _picture_size(name: str, row: Mapping[str, Any], processor: Processor) -> Iterator[Check]:
    settings = replace(
        processor.image,
        min_pixels=row.get("min_pixels", processor.image.min_pixels),
        max_pixels=row.get("max_pixels", processor.image.max_pixels),
    )
    found = _answer(lambda: list(fit_size(row["h"], row["w"], settings)))
    yield compare_facts(name, found, row["out_hw"])


def _second_size(name: str, row: Mapping[str, Any], processor: Processor) -> Iterator[Check]:
    """The official image processor fits once more, which changes nothing behind the first fit.

    Alone, it takes a side of less than half a cell for nothing, and grows the picture.
    """
    factor, shape = processor.image.factor, (row["h"], row["w"])
    aspect = max(shape) / min(shape)
    if all(round(side / factor) for side in shape) or aspect > processor.image.max_aspect:
        yield from _picture_size(name, row, processor)
        return
    grow = math.sqrt(row["min_pixels"] / (row["h"] * row["w"]))
    found = [math.ceil(side * grow / factor) * factor for side in shape]
    yield compare_facts(name, found, row["out_hw"])


def _film_size(name: str, row: Mapping[str, Any], processor: Processor) -> Iterator[Check]:
    # the table states the budget that follows from the frame count: both must agree
    settings = VideoSettings(
        min_pixels=row["min_pixels"],
        total_pixels=VIDEO.total_pixels,
        max_frames=VIDEO.max_frames,
    )
    budget = max(settings.total_pixels / row["num_frames"] * 2, int(row["min_pixels"] * 1.05))
    yield compare(f"{name}.max_pixels", budget, row["max_pixels"], TIMES)
    shape = row["h"], row["w"], row["num_frames"]
    found = _answer(lambda: list(film_size(*shape, processor.image, settings)))
    yield compare_facts(name, found, row["out_hw"])


def _sampling(name: str, row: Mapping[str, Any], processor: Processor) -> Iterator[Check]:
    sample = sample_film(row["src_frames"], row["src_fps"], wished=2.0, max_frames=VIDEO.max_frames)
    temporal = processor.image.temporal_patch
    seconds = pad_last(sample.seconds, temporal)
    labels = [
        processor.template.timestamp.format(seconds=middle)
        for middle in pair_seconds(seconds, temporal)
    ]
    yield compare(f"{name}.n_sampled", len(sample.indices), row["n_sampled"])
    yield compare(f"{name}.indices", sample.indices, row["indices"])
    yield compare(f"{name}.fps", sample.frames_per_second, row["sampled_fps"], TIMES)
    yield compare(f"{name}.timestamps", seconds, row["timestamps_s"], TIMES)
    yield compare_facts(f"{name}.pair_labels", labels, row["pair_labels"])


def _list_count(name: str, row: Mapping[str, Any], processor: Processor) -> Iterator[Check]:
    del processor  # a rule of counting only
    found = _answer(lambda: list_frame_count(row["ele"], row["total_frames"]))
    yield compare_facts(name, found, row["out"])


def _answer(rule: Callable[[], Any]) -> Any:
    """What a rule gives, or the tables' word for a refusal."""
    try:
        return rule()
    except InputError:
        return "error:ValueError"


RULES: dict[str, Callable[[str, Mapping[str, Any], Processor], Iterator[Check]]] = {
    "fetch_image_smart_resize": _picture_size,
    "image_processor_smart_resize": _second_size,
    "video_file_sampling": _sampling,
    "frame_list_smart_nframes": _list_count,
    "video_default_size": _film_size,
}
