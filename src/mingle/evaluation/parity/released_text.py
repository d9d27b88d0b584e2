"""The released text front end where ours does otherwise on purpose: its faults, for comparison.

It widens punctuation, loses line breaks and signs, reads ordinals as numbers, every colon as a
clock, and leaves numbers alone that it does not understand. docs/speech.md lists what ours does.
"""

import re
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import replace

from mingle.evaluation.parity import released_words as words
from mingle.talker.text.chinese import HABITS, read_numbers
from mingle.talker.text.english import UNITS
from mingle.talker.text.han_shapes import (
    SHAPES,
    Group,
    Reading,
    Shape,
    any_date,
    any_time,
    clock,
    equation,
    formula,
    full_date,
    ratio,
    score,
)
from mingle.talker.text.marks import contains_han
from mingle.talker.text.numerals import cardinal, digits_in_english, han_digits, han_group, ordinal
from mingle.talker.text.segments import SegmentRules

# --- segments -------------------------------------------------------------------------------------


def _line_break(buffered: list[str], blanks: str) -> list[str]:
    """A comma behind a Chinese character, nothing behind another; else what precedes the break."""
    if contains_han("".join(buffered)):
        return ["，"] if contains_han(buffered[-1][-1:]) else []
    return [blanks[:-1]]


SEGMENTS = SegmentRules(
    first_tokens=12,
    later_tokens=8,
    marks="！？。，!?",
    first_marks="",
    most_tokens=None,
    line_break=_line_break,
    full_stop=lambda before, _: not before[-1:].isdigit(),
    speaks=lambda text: re.search(r"[a-zA-Z\u4e00-\u9fff1-9]", text) is not None,
)

# --- cleaning -------------------------------------------------------------------------------------

DELETED = (
    r"\$\$.*?\$\$|\$.*?\$",
    r"https?://[a-zA-Z0-9./?=&_:-]+|www\.[a-zA-Z0-9./?=&_:-]+",
    r"`.*?`",
    r"```.*?```",
    r"!\[[^\n]*?\]\([^\n]*?\)",
    r"(?<=\d),(?=\d{3})",
    r"(?<=[^a-zA-Z.])[ ]+(?=[^a-zA-Z.])",
)
SIGNS = "▼●★☆■□▲△◆◇○◎√×✔✖\ufe0e\t\n\r\f"
EMOTICONS = range(0x1F600, 0x1F650)


def clean(text: str) -> str:
    """What the released cleaner leaves: no formulas, links, code, nor the multiplication sign."""
    for pattern in DELETED:
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    text = re.sub(r"(?<=[a-zA-Z]) +(?=[a-zA-Z])", " ", text)
    return re.sub(r"\*\*\*|\*\*|###|---", "", text).translate(
        dict.fromkeys((*map(ord, SIGNS), *EMOTICONS))
    )


# --- English --------------------------------------------------------------------------------------

RELEASED_UNITS = (
    "ms s Hz kHz MHz GHz kb mb gb tb KB MB GB TB bps kbps Mbps Gbps cm km kg V A W °C °F"
).split()


def read_english(text: str) -> str:
    """Numbers to words, in the released order."""
    text = re.sub(r"[0-9][0-9,]+[0-9]", lambda m: m[0].replace(",", ""), text)
    units = "|".join(RELEASED_UNITS)
    text = re.sub(rf"\b(-?\d+(?:\.\d+)?)\s*({units})\b", _unit, text, flags=re.IGNORECASE)
    text = re.sub(r"£(-?[0-9,]*[0-9]+(?:\.[0-9]+)?)", _money("pound"), text)
    text = re.sub(r"\$(-?[0-9.,]*[0-9]+(?:\.[0-9]+)?)", _money("dollar"), text)
    text = re.sub(r"([0-9]+)/([0-9]+)", _fraction, text)
    text = re.sub(r"(-?[0-9.,]*[0-9]+)%", lambda m: f" {_words(m[1])} percent ", text)
    text = re.sub(r"\b([0-9]+)(?:st|nd|rd|th)\b", lambda m: f" {_joined(m[1])} ", text)
    text = re.sub(r"\b([a-zA-Z]+)-?([0-9]+(?:\.[0-9]+)?)\b", _name, text)
    text = re.sub(r"\b-?[0-9]+(?:\.[0-9]+)?\b", lambda m: f" {_words(m[0])} ", text)
    return re.sub(r"\s+", " ", text).strip()


def _words(number: str) -> str:
    """The number in words, or as it stands if it is none (two points, say)."""
    sign, digits = ("minus ", number[1:]) if number.startswith("-") else ("", number)
    whole, _, fraction = digits.partition(".")
    if not (whole or "0").isdigit() or not (fraction or "0").isdigit():
        return number
    words = cardinal(int(whole or "0"))
    return f"{sign}{words} point {digits_in_english(fraction)}" if fraction else sign + words


def _joined(number: str) -> str:
    return cardinal(int(number), joint="and")


def _unit(match: re.Match[str]) -> str:
    unit = "bits per second" if match[2].lower() == "bps" else UNITS[match[2].lower()]
    return f" {_words(match[1])} {unit} "


def _money(unit: str):
    def expand(match: re.Match[str]) -> str:
        words = _words(match[1])
        one = words != match[1] and float(match[1].lstrip("-")) == 1
        return f" {words} {unit if one else f'{unit}s'} "

    return expand


def _fraction(match: re.Match[str]) -> str:
    """Halves and quarters have a plural, five sixth has none."""
    over, under = int(match[1]), int(match[2])
    if (over, under) == (1, 2):
        return " one half "
    names = {2: ("half", "halves"), 4: ("quarter", "quarters")}
    one, many = names.get(under, (ordinal(under, joint="and"),) * 2)
    return f" {_joined(match[1])} {one if over == 1 else many} "


def _name(match: re.Match[str]) -> str:
    whole, _, fraction = match[2].partition(".")
    words = _joined(whole)
    return (
        f"{match[1]} {words} point {digits_in_english(fraction)}"
        if fraction
        else f"{match[1]} {words}"
    )


# --- Chinese --------------------------------------------------------------------------------------

SCALES = "万亿兆京垓秭穰沟涧正载极"


def _cardinal(digits: str) -> str:
    """Without the zeros between groups of four: 10005 is read as 1 wan 5."""
    words = han_group(digits[-4:])
    for place, scale in enumerate(SCALES, start=1):
        group = han_group(digits[: -4 * place][-4:])
        words = f"{group}{scale}{words}" if group else words
    left = digits[: -4 * (len(SCALES) + 1)]
    return (han_digits(left, one="幺") + words) or "零"


def _divided(shape: Shape) -> Shape:
    """A formula in which divided-by lacks its second syllable."""

    def read(group: Group) -> Reading | None:
        reading = shape(group)
        return reading and replace(reading, text=reading.text.replace("除以", "除"))

    return read


OTHERWISE: dict[Shape, Shape] = {
    full_date: any_date,
    clock: any_time,
    equation: _divided(equation),
    formula: _divided(formula),
}
RELEASED_SHAPES = tuple(
    OTHERWISE.get(shape, shape) for shape in SHAPES if shape not in (score, ratio)
)


def _known(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    kept = {word: said for word, said in ours.items() if word not in words.LEFT_ALONE}
    return {**kept, **theirs}


_MONEY = _known(HABITS.money, words.CURRENCIES)
_UNITS = _known(HABITS.units, words.OTHER_UNITS | {word: word for word in words.OTHER_COUNTED})
RELEASED_HABITS = replace(
    HABITS,
    money={sign: said for sign, said in _MONEY.items() if not contains_han(sign)},
    before=words.QUANTITIES,
    units=_UNITS | {word: said for word, said in _MONEY.items() if contains_han(word)},
    labels={word: word for word in words.NUMBERED},
    per={},
    pairs=frozenset(),
    shapes=RELEASED_SHAPES,
    cardinal=_cardinal,
    rest=None,
)
INDEX = re.compile(rf"(?<!\d)({'|'.join(words.INDICES)})(?!\d)")
NUMBERS_IN_SIGNS = {
    ord(sign): _cardinal(unicodedata.normalize("NFKC", sign)) for sign in "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
} | {ord("Ⅰ") + n: _cardinal(str(n + 1)) for n in range(12)}
WIDE_PERCENT, KEPT = "％", "\ue000"  # a sign that the released rules do not know


def read_chinese(text: str) -> str:
    """The released rules for Chinese text; a number they do not understand stays."""
    text = text.translate(NUMBERS_IN_SIGNS).replace(WIDE_PERCENT, KEPT)
    text = re.sub(r"(?<!\d)[cC]\+\+(?!\d)", "C加加", text)
    text = INDEX.sub(lambda m: re.sub(r"\d+", lambda n: _cardinal(n[0]), m[1]), text)
    text = re.sub(r"(?<![\d:.\-/])(\d)(?=\. )", lambda m: _cardinal(m[1]), text)
    return read_numbers(text, RELEASED_HABITS).replace(KEPT, WIDE_PERCENT)


# --- cutting --------------------------------------------------------------------------------------

DOT = "##DOT##"
NOTHING = string.punctuation + string.whitespace
ENDS, PAUSES = "。！？", "，;；"


def cut(text: str, limit: int, tail: int = 5) -> tuple[list[str], dict[str, list[int]]]:
    """The released cut: fragments, and where it believes that they stand in the text."""
    if not _says(text):
        return [], {}
    kept = re.sub(r"(\d)\.(\d)", rf"\1{DOT}\2", text)
    for _ in range(3):
        kept = re.sub(r"([A-Z])\.([A-Z])", rf"\1{DOT}\2", kept)
    kept = kept.replace("\n", " ").replace("。，", "。")
    if _length(kept) <= limit:
        return [kept.replace(DOT, ".")], {"0": [0, len(text)]}
    wide = kept.translate(str.maketrans(".!?,", "。！？，"))
    fragments: list[str] = []
    spans: list[tuple[int, int]] = []
    for sentence, start in _sentences(wide):
        for clause, low, high in _clauses(sentence, limit, tail):
            if _length(clause) <= limit:
                _append(fragments, clause, limit, tail)
                spans.append((start + low, start + high))
                continue
            parts = _split(clause, limit)
            for number, part in enumerate(parts):
                _append(fragments, part, limit, tail)
                at = start + low + number * (len(clause) // len(parts))
                spans.append((at, at + len(part)))
    fragments = [fragment.replace(DOT, ".") for fragment in fragments]
    return fragments, _find(fragments, spans, text)


def _says(text: str) -> bool:
    return any(character not in NOTHING for character in text)


def _length(text: str) -> int:
    return len(re.findall(r"[\u4e00-\u9fa5]", text)) + len(re.findall(r"[a-zA-Z]+", text))


def _sentences(text: str) -> list[tuple[str, int]]:
    """Sentences and where each begins; the last one gets a full stop if it has none."""
    found, start = [], 0
    for end in [n + 1 for n, character in enumerate(text) if character in ENDS]:
        if text[start:end].strip():
            found.append((text[start:end].strip(), start))
        start = end
    if text[start:]:
        last = text[start:].strip()
        found.append((last if last.endswith(tuple(ENDS)) else f"{last}。", start))
    return found


def _clauses(sentence: str, limit: int, tail: int) -> list[tuple[str, int, int]]:
    """Clauses with their place in the sentence; a short one takes the next one along."""
    ends = [n + 1 for n, character in enumerate(sentence) if character in PAUSES]
    found: list[tuple[str, int, int]] = []
    start = 0
    for end in [*ends, *([len(sentence)] if sentence[(ends or [0])[-1] :] else [])]:
        clause = sentence[start:end].strip()
        if clause and _says(clause):
            found.append((clause, start, end))
        elif clause and found:
            found[-1] = (found[-1][0] + clause, found[-1][1], end)
        start = end
    merged, number = [], 0
    while number < len(found):
        clause, low, high = found[number]
        if _length(clause) < tail and number + 1 < len(found):
            following, _, end = found[number + 1]
            if _length(clause + following) <= limit:
                clause, high, number = clause + following, end, number + 1
        merged.append((clause, low, high))
        number += 1
    return merged


def _split(clause: str, limit: int) -> list[str]:
    parts: list[str] = []
    for unit in re.findall(r"[\u4e00-\u9fa5]|[a-zA-Z]+|[^a-zA-Z\u4e00-\u9fa5]+", clause):
        if parts and _length(parts[-1]) + _length(unit) <= limit:
            parts[-1] += unit
        else:
            parts.append(unit)
    return parts


def _append(fragments: list[str], text: str, limit: int, tail: int) -> None:
    text = text.lstrip("，,:;" + string.whitespace)
    if not _says(text):
        return
    if not fragments or _length(fragments[-1]) + _length(text) > limit:
        fragments.append(text)
    elif fragments[-1].endswith(tuple(ENDS)) and _length(text) < tail:
        fragments.append(text)
    else:
        space = not fragments[-1].endswith(" ") and re.match("[a-zA-Z0-9]", text)
        fragments[-1] += (" " if space else "") + text


def _find(fragments: list[str], spans: list[tuple[int, int]], text: str) -> dict[str, list[int]]:
    """Search every fragment behind the one before; else without blanks; else believe the span."""
    found, after = {}, 0
    for number, fragment in enumerate(fragments):
        at = text.find(fragment, after)
        if at == -1:
            at = text.replace(" ", "").find(fragment.replace(" ", ""), after)
            at += text[:at].count(" ") if at != -1 else 0
        if at == -1:
            known = number < len(spans)
            found[str(number)] = list(spans[number] if known else (after, after + len(fragment)))
            continue
        found[str(number)] = [at, at + len(fragment)]
        after = at + len(fragment)
    return found
