"""Parity of the text front end: tokens, cuts, numbers, segments, cleaning, Chinese rules."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mingle.evaluation.parity import released_text as released
from mingle.evaluation.parity.check import Check, compare_facts, read_json
from mingle.talker.prompt import SPEECH
from mingle.talker.text.marks import contains_han, tokenize
from mingle.talker.text.segments import Segmenter

SECONDS_PER_CHARACTER = 0.25  # of the stand-in voice that the stored rows were made with
PACE_HAN, PACE_LATIN = 6.07, 16.0  # characters a second that the released code reckons with


def check_text_front(case: Path) -> list[Check]:
    """Kind talker_text_front: four tables of exact strings."""
    table = read_json(case, "table.json")
    checks = [
        compare_facts(f"tokens of {row['in'][:20]!r}", tokenize(row["in"]), row["out"])
        for row in table["tokenize_mixed_text"]
    ]
    for row in table["cut_text_by_semantic_length"]:
        fragments, positions = released.cut(row["in"], row["max"])
        found = {"fragments": fragments, "positions": positions}
        checks.append(compare_facts(f"cut {row['max']} of {row['in'][:20]!r}", found, row["out"]))
    for row in table["normalize_numbers_en"]:
        found = released.read_english(row["in"])
        checks.append(compare_facts(f"numbers in {row['in'][:20]!r}", found, row["out"]))
    for row in table["omni_audio_generation"]:
        name = f"{row['iter']} {row['max_length']} of {row['text'][:20]!r}"
        calls, yields = _speak(row)
        checks.append(compare_facts(f"calls, {name}", calls, row["calls"]))
        checks.append(compare_facts(f"yields, {name}", yields, row["yields"]))
    return checks


def check_rules(case: Path) -> list[Check]:
    """Kind talker_tn_rules: cleaned text, and for Chinese text what its rules make of it."""
    checks = []
    for row in read_json(case, "table.json"):
        cleaned = released.clean(row["in"])
        ruled = released.read_chinese(cleaned) if contains_han(cleaned) else None
        found = {"pre": cleaned, "chinese_rules": ruled}
        checks += [
            compare_facts(f"{key} of {row['in'][:20]!r}", found[key], row[key]) for key in found
        ]
    return checks


def _speak(row: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the released state machine has its voice say, and what it reports of it."""
    calls, yields = [], []
    end = -1
    for fragment, streams in _fragments(row):
        han = contains_han(fragment)
        said = (fragment if han else released.read_english(fragment)).removeprefix("，")
        prompt_text = row["calls"][0]["prompt_text"]
        calls.append(
            {"text": said, "stream": streams, "prompt": SPEECH, "prompt_text": prompt_text}
        )
        seconds = len(said) * SECONDS_PER_CHARACTER
        start, end = end + 1, end + len(fragment)
        if streams:  # its text is reckoned from the sound so far, as if it were the text's first
            spoken = math.ceil(seconds * (PACE_HAN if han else PACE_LATIN))
            start, end = 0, min(spoken, len(fragment)) - 1
        text = (fragment[: end + 1] if end else "") if streams else fragment
        yields.append({"text": text, "position": [start, end], "dur_ms": seconds * 1000})
    return calls, yields


def _fragments(row: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Fragments, and whether each streams: the first, and all where only the end flushes."""
    segmenter = Segmenter(released.SEGMENTS)
    spoken = False
    for chunk in row["text"] if row["iter"] == "chars" else [row["text"]]:
        for segment in segmenter.push(tokenize(chunk)):
            for fragment in released.cut(segment, row["max_length"])[0]:
                yield fragment, not spoken
                spoken = True
    for segment in segmenter.finish():
        for fragment in released.cut(segment, row["max_length"])[0]:
            yield fragment, not spoken
