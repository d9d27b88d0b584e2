"""Parity of the processor: prompts, ids, pictures, films, recordings, rules."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from mingle.checkpoints.flash_omni_2 import processor as family
from mingle.errors import InputError
from mingle.evaluation.parity.check import Check, Tolerance, compare, compare_facts, read_json
from mingle.evaluation.parity.processor_tables import check_tables
from mingle.evaluation.parity.reference_prompt import (
    Conversation,
    as_request,
    official_expansion,
    official_ids,
    official_recording,
    official_template,
    reads_alike,
)
from mingle.evaluation.parity.reference_spectrum import reference_power
from mingle.processing.audio import log_bands, windows
from mingle.processing.footage import open_listed
from mingle.processing.image import Patches
from mingle.processing.inputs import Processor, Prompt
from mingle.processing.resample import resample
from mingle.processing.tokenizer import Tokenizer
from mingle.processing.video import pad_last, sample_listed

OWN_SPECTRUM = Tolerance(atol=1e-4)  # two float32 FFTs differ by 3e-5: reference_spectrum.py
TIMES = Tolerance(atol=1e-9)  # seconds, float64
STATISTICS = Tolerance(atol=1e-5, rtol=1e-5)  # sums of up to 3e6 float32 values


def check(case: Path) -> list[Check]:
    """Kind processor: every message list of the case, and its rule tables."""
    stated = read_json(case, "case.json")
    folder = case / str(stated["tokenizer"]).split()[0]
    if not (folder / "tokenizer.json").exists():
        raise InputError(f"the case's vocabulary is not at {folder}; put it there to compare ids")
    processor = build_processor(stated, Tokenizer.from_folder(folder))
    checks = [c for name in stated["cases"] for c in check_messages(case, name, processor, stated)]
    if (case / "tables.json").exists():
        checks += check_tables(read_json(case, "tables.json"), processor)
    return checks


def build_processor(stated: Mapping[str, Any], tokenizer: Tokenizer) -> Processor:
    """The processor with the settings that the case states in words."""
    said = {key: int(value) for key, value in re.findall(r"(\w+) (\d+)", stated["config"])}
    image, audio = family.read_config(
        family.RELEASED
        | {
            "patch_size": said["patch"],
            "temporal_patch_size": said["temporal"],
            "merge_size": said["merge"],
            "min_pixels": said["min_pixels"],
            "max_pixels": said["max_pixels"],
            "whisper_frontend_args": {"n_mels": said["n_mels"]},
        }
    )
    return Processor(
        tokenizer=tokenizer,
        template=family.TEMPLATE,
        image=image,
        video=family.VIDEO,
        audio=audio,
        context_tokens=1_000_000,  # the official processor knows no limit
    )


def check_messages(
    case: Path, name: str, processor: Processor, stated: Mapping[str, Any]
) -> list[Check]:
    """One stored message list: everything that its file holds."""
    stored = read_json(case, f"{name}.json")
    conversation = Conversation(
        messages=stored["messages"],
        system=stored.get("sys_prompt_exp"),
        thinking=stored.get("use_cot_system_prompt", False),
        suffix=stored.get("lang_suffix", ""),
        folder=case,
    )
    request = as_request(conversation, processor.image, family.VIDEO)
    prompt = processor.prepare(request)
    template = official_template(conversation, processor.template)
    checks = [compare_facts(f"{name}.prompt_template", template, stored["prompt_template"])]
    if reads_alike(conversation, processor.tokenizer):
        ids = prompt.ids.tolist()
        text = processor.tokenizer.decode(ids, keep_special=True)
    else:
        text = official_expansion(template, request, processor)
        suffix = processor.tokenizer.encode(conversation.suffix)
        ids = official_ids(text, processor.tokenizer) + suffix
        text += conversation.suffix
    checks += _check_words(name, stored, text, ids, processor)
    checks += _check_pictures(name, stored, prompt, processor)
    checks += _check_films(name, stored, prompt, conversation)
    checks += _check_recordings(name, stored, prompt, conversation, processor)
    checks += _check_placeholders(name, stored, prompt, ids, processor)
    arrays = load_file(case / stored["arrays_file"]) if "arrays_file" in stored else {}
    measured = _features(prompt, conversation, processor)
    checks += _check_arrays(name, stored, arrays, measured, stated["tolerance"])
    return checks


def _check_words(
    name: str, stored: Mapping[str, Any], text: str, ids: list[int], processor: Processor
) -> Iterator[Check]:
    if "prompt_expanded" in stored:
        expanded = stored["prompt_expanded"] + stored.get("lang_suffix", "")
        yield compare_facts(f"{name}.prompt_expanded", _nfc(text), _nfc(expanded))
    if "input_ids" in stored:
        yield compare(f"{name}.input_ids", [ids], stored["input_ids"])
    if "attention_mask" in stored:  # Mingle has no padding: every token is attended to
        yield compare(f"{name}.attention_mask", [[1] * len(ids)], stored["attention_mask"])
    if "lang_suffix_ids" in stored:
        suffix = processor.tokenizer.encode(stored["lang_suffix"])
        yield compare(f"{name}.lang_suffix_ids", suffix, stored["lang_suffix_ids"])


def _check_pictures(
    name: str, stored: Mapping[str, Any], prompt: Prompt, processor: Processor
) -> Iterator[Check]:
    grids = [patches.grid for patches in prompt.images]
    if "image_grid_thw" in stored:
        yield compare(f"{name}.image_grid_thw", grids, stored["image_grid_thw"])
    if "resized_image_wh" in stored:
        side = processor.image.patch_size
        sizes = [[columns * side, rows * side] for _, rows, columns in grids]
        yield compare(f"{name}.resized_image_wh", sizes, stored["resized_image_wh"])


def _check_films(
    name: str, stored: Mapping[str, Any], prompt: Prompt, conversation: Conversation
) -> Iterator[Check]:
    grids = [patches.grid for patches in prompt.frames]
    if "video_grid_thw" in stored:
        yield compare(f"{name}.video_grid_thw", grids, stored["video_grid_thw"])
    films = [part for part in conversation.contents if part["type"] == "video"]
    first = 0
    told = stored.get("video_frames_thwc_and_ts", [])
    for number, (part, film) in enumerate(zip(films, told, strict=True) if told else ()):
        rate = part.get("max_video_fps", 2.0)
        count = open_listed(conversation.folder / part["video"]).count
        seconds = pad_last(sample_listed(count, rate, count).seconds, 2)
        _, rows, columns = grids[first]
        first += len(seconds) // 2
        where = f"{name}.film{number}"
        shape = [len(seconds), 3, rows * 16, columns * 16]
        yield compare(f"{where}.shape", shape, film["shape_tchw"])
        yield compare(f"{where}.timestamps", seconds, film["timestamps_s"], TIMES)
        yield compare(f"{where}.sample_fps", rate, film["sample_fps"], TIMES)


def _check_recordings(
    name: str,
    stored: Mapping[str, Any],
    prompt: Prompt,
    conversation: Conversation,
    processor: Processor,
) -> Iterator[Check]:
    if "audio_feats_lengths" in stored:
        lengths = [[len(mels) for mels in prompt.recordings]]
        yield compare(f"{name}.audio_feats_lengths", lengths, stored["audio_feats_lengths"])
    for file, (shape, rate) in zip(
        conversation.files("audio"), stored.get("audio_samples_and_rate", []), strict=False
    ):
        samples, found = official_recording(file)
        where = f"{name}.{file.name}"
        yield compare(f"{where}.samples_and_rate", [len(samples), found], [shape[-1], rate])
        repeated = _stored_rounding(samples, found, processor)
        own = prompt.recordings[conversation.files("audio").index(file)]
        yield compare(f"{where}.own_spectrum", own, repeated, OWN_SPECTRUM)


def _check_placeholders(
    name: str, stored: Mapping[str, Any], prompt: Prompt, ids: list[int], processor: Processor
) -> Iterator[Check]:
    """Recording j fills the tokens behind the j-th start tag, as the reference counts."""
    key = "audio_placeholder_loc_lens"
    if key in stored:
        tag = processor.tokenizer.token_id(processor.template.audio.start)
        starts = [place + 1 for place, id_ in enumerate(ids) if id_ == tag]
        lengths = [processor.audio.tokens(len(mels)) for mels in prompt.recordings]
        places = [[start, length] for start, length in zip(starts, lengths, strict=False)]
        yield compare(f"{name}.{key}", [places], stored[key])


def _stored_rounding(samples: np.ndarray, rate: int, processor: Processor) -> np.ndarray:
    """Mel frames with the stored float32 FFT in the place of ours."""
    at_rate = resample(samples, rate, processor.audio.sample_rate_hz)
    return log_bands(reference_power(windows(at_rate, processor.audio)), processor.audio)


def _features(
    prompt: Prompt, conversation: Conversation, processor: Processor
) -> dict[str, np.ndarray]:
    """The media features as the reference stores them: joined, recordings in one row."""
    features = {}
    if prompt.images:
        features["pixel_values"] = _joined(prompt.images)
    if prompt.frames:
        features["pixel_values_videos"] = _joined(prompt.frames)
    files = conversation.files("audio")
    if files:
        recordings = [_stored_rounding(*official_recording(file), processor) for file in files]
        features["audio_feats"] = np.concatenate(recordings)[None]
    return features


def _check_arrays(
    name: str,
    stored: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    measured: Mapping[str, np.ndarray],
    stated: Mapping[str, str],
) -> Iterator[Check]:
    resampled = any(rate != 16_000 for _, rate in stored.get("audio_samples_and_rate", []))
    for key, expected in arrays.items():
        feature, _, rows = key.partition(".first")
        found = measured[feature]
        if rows:
            found = found[: int(re.sub(r"\D", "", rows))]
        yield _compare_feature(f"{name}.{key}", found, expected, stated[feature], resampled)
    for key, expected in stored.items():
        if key.endswith("_stats"):
            yield from _check_statistics(f"{name}.{key}", measured[key[:-6]], expected)


def _compare_feature(
    name: str, found: np.ndarray, expected: np.ndarray, stated: str, resampled: bool
) -> Check:
    """Apply the tolerance that the case states in words for one kind of feature."""
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", stated)]
    if resampled and "resampled" in stated:
        return compare(name, found, expected, Tolerance(atol=numbers[1]))
    check = compare(name, found, expected, Tolerance(atol=numbers[0]))
    share = re.search(r"<([\d.]+) % of values off by ([\d.]+)", stated)
    if check.passed or not share or found.shape != expected.shape:
        return check
    off = float((np.abs(found - expected) > numbers[0]).mean())
    if off * 100 < float(share[1]):
        return compare(name, found, expected, Tolerance(atol=float(share[2])))
    return check


def _check_statistics(name: str, found: np.ndarray, expected: Mapping[str, Any]) -> Iterator[Check]:
    yield compare_facts(f"{name}.shape", list(found.shape), expected["shape"])
    exact = found.astype(np.float64)
    ours = {
        "mean": exact.mean(),
        "std": exact.std(ddof=1),
        "min": exact.min(),
        "max": exact.max(),
        "abs_sum": np.abs(exact).sum(),
    }
    for key in ours.keys() & expected.keys():
        yield compare(f"{name}.{key}", ours[key], expected[key], STATISTICS)


def _joined(media: tuple[Patches, ...]) -> np.ndarray:
    return np.concatenate([patches.values for patches in media])


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
