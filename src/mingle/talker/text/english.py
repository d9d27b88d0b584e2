"""Numbers, signs and abbreviations in English text -> words."""

import re
from collections.abc import Callable

from mingle.talker.text.numerals import cardinal, decimal, digits_in_english, ordinal, year

MONTHS = (
    "January February March April May June July August September October November December"
).split()
MONTH = "|".join((*MONTHS, *(f"{month[:3]}\\.?" for month in MONTHS if month != "May")))

MONEY = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yuan", "yuan", "fen", "fen"),
    "￥": ("yuan", "yuan", "fen", "fen"),
}
SCALES = "hundred|thousand|million|billion|trillion"

UNITS = {
    "km/h": "kilometers per hour",
    "m/s": "meters per second",
    "mph": "miles per hour",
    "km": "kilometers",
    "cm": "centimeters",
    "mm": "millimeters",
    "nm": "nanometers",
    "m": "meters",
    "ft": "feet",
    "mi": "miles",
    "kg": "kilograms",
    "mg": "milligrams",
    "g": "grams",
    "lb": "pounds",
    "lbs": "pounds",
    "oz": "ounces",
    "ml": "milliliters",
    "l": "liters",
    "ms": "milliseconds",
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "hrs": "hours",
    "hz": "hertz",
    "khz": "kilohertz",
    "mhz": "megahertz",
    "ghz": "gigahertz",
    "kb": "kilobytes",
    "mb": "megabytes",
    "gb": "gigabytes",
    "tb": "terabytes",
    "kbps": "kilobits per second",
    "mbps": "megabits per second",
    "gbps": "gigabits per second",
    "v": "volts",
    "a": "amperes",
    "w": "watts",
    "kw": "kilowatts",
    "kwh": "kilowatt hours",
    "°c": "degrees celsius",
    "°f": "degrees fahrenheit",
    "°": "degrees",
}

ABBREVIATIONS = {
    r"Mr\.": "Mister",
    r"Mrs\.": "Missus",
    r"Ms\.": "Miss",
    r"Dr\.": "Doctor",
    r"Prof\.": "Professor",
    r"vs\.?": "versus",
    r"etc\.": "et cetera",
    r"e\.g\.": "for example",
    r"i\.e\.": "that is",
    r"No\.(?= ?\d)": "number",
    r"Inc\.": "Incorporated",
    r"Ltd\.": "Limited",
    r"approx\.": "approximately",
}

SIGNS = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "×": "times",
    "÷": "divided by",
    "≈": "about",
    "≥": "greater than or equal to",
    "≤": "less than or equal to",
    ">": "greater than",
    "<": "less than",
    "±": "plus or minus",
    "%": "percent",
    "~": "about",
    "@": "at",
}

ANY_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
NUMBER = r"\d+(?:\.\d+)?"
MINUS = r"(?<![\w)])-(?=\d)"


def read_english(text: str) -> str:
    """The text with everything in words that an English voice would not say as written."""
    for pattern, word in ABBREVIATIONS.items():
        text = re.sub(rf"(?<!\w){pattern}", word, text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    for pattern, expand in RULES:
        text = pattern.sub(expand, text)
    for sign, word in SIGNS.items():
        text = text.replace(sign, f" {word} ")
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"\s+([,.!?;:，。！？；：])", r"\1", text).strip()


def _iso_date(match: re.Match[str]) -> str:
    month, day = int(match[2]), int(match[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return f"{MONTHS[month - 1]} {ordinal(day)}, {year(int(match[1]))}"


def _month_day(match: re.Match[str]) -> str:
    after = f", {year(int(match[3]))}" if match[3] else ""
    return f"{_month(match[1])} {ordinal(int(match[2]))}{after}"


def _day_month(match: re.Match[str]) -> str:
    after = f" {year(int(match[3]))}" if match[3] else ""
    return f"the {ordinal(int(match[1]))} of {_month(match[2])}{after}"


def _month(name: str) -> str:
    return next(month for month in MONTHS if month.startswith(name.rstrip(".")))


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    noon = " ".join((match[3] or "").replace(".", "").lower())
    if hour > 24 or minute > 59:
        return f"{cardinal(hour)} to {cardinal(minute)}"
    if minute == 0:
        words = cardinal(hour) if noon else f"{cardinal(hour)} o'clock"
    else:
        words = f"{cardinal(hour)} {f'oh {cardinal(minute)}' if minute < 10 else cardinal(minute)}"
    return f"{words} {noon}".strip()


def _bare_noon(match: re.Match[str]) -> str:
    return f"{cardinal(int(match[1]))} {' '.join(match[2].replace('.', '').lower())}"


def _money(match: re.Match[str]) -> str:
    one, many, small_one, small_many = MONEY[match["sign"]]
    sign = "minus " if match["minus"] or match["inner"] else ""
    whole, _, cents = match["number"].partition(".")
    if match["scale"]:
        return f"{sign}{decimal(match['number'])} {match['scale']} {many}"
    if len(cents) != 2:
        return f"{sign}{decimal(match['number'])} {one if match['number'] == '1' else many}"
    words = [f"{cardinal(int(whole))} {one if int(whole) == 1 else many}"] if int(whole) else []
    if int(cents):
        words.append(f"{cardinal(int(cents))} {small_one if int(cents) == 1 else small_many}")
    return sign + (" and ".join(words) or f"zero {many}")


def _unit(match: re.Match[str]) -> str:
    words = UNITS[match[2].lower()]
    if match[1] == "1":
        first, _, rest = words.partition(" ")
        singular = {"feet": "foot", "hertz": "hertz"}.get(first, first.removesuffix("s"))
        words = f"{singular} {rest}".strip()
    return f"{decimal(match[1])} {words}"


def _fraction(match: re.Match[str]) -> str:
    over, under = int(match[1]), int(match[2])
    if not 1 < under <= 20 or over > 20:
        return f"{cardinal(over)} over {cardinal(under)}"
    name = {2: "half", 4: "quarter"}.get(under) or ordinal(under)
    plural = "halves" if under == 2 else f"{name}s"
    return f"{cardinal(over)} {name if over == 1 else plural}"


def _telephone(match: re.Match[str]) -> str:
    return ", ".join(digits_in_english(part) for part in re.findall(r"\d+", match[0]))


def _decade(match: re.Match[str]) -> str:
    words = year(int(match[1])) if len(match[1]) == 4 else cardinal(int(match[1]))
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _name(match: re.Match[str]) -> str:
    """GPT-4, v2.1, A100: the number of a thing."""
    return f"{match[1]} {_spoken_number(match[2])}"


def _version(match: re.Match[str]) -> str:
    return " point ".join(_spoken_number(part) for part in match[0].split("."))


def _spoken_number(digits: str) -> str:
    if "." not in digits and ((digits.startswith("0") and len(digits) > 1) or len(digits) > 15):
        return digits_in_english(digits)
    return decimal(digits)


RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\b(\d{4})[-/](\d{1,2})[-/](\d{1,2})\b"), _iso_date),
    (re.compile(rf"\b({MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (\d{{4}})\b)?"), _month_day),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)? ({MONTH})\b(?: (\d{{4}})\b)?"), _day_month),
    (re.compile(r"\b(\d{1,2}):(\d{2})(?::\d{2})?(?:\s?([ap]\.?m\b\.?))?", re.I), _clock),
    (re.compile(r"\b(\d{1,2})\s?([ap]\.m\.|[ap]m\b)", re.I), _bare_noon),
    (re.compile(r"(?<![\w.])(?:\+?\d{1,3}[ -])?\(?\d{3}\)?[ -]\d{3}[ -]\d{4}\b"), _telephone),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){2,3}\b"), _version),
    (
        re.compile(
            rf"(?P<minus>-)?(?P<sign>[$£€¥￥])(?P<inner>-)?(?P<number>{NUMBER})"
            rf"(?:\s(?P<scale>{SCALES})\b)?"
        ),
        _money,
    ),
    (re.compile(r"\b(1[1-9]|20)?(\d0)s\b"), lambda m: _decade(re.match(r"(\d+)", m[0]) or m)),
    (
        re.compile(r"(?<=\b[Ii]n )(1[1-9]\d\d|20\d\d)\b|(?<=\b[Ss]ince )(1[1-9]\d\d|20\d\d)\b"),
        lambda match: year(int(match[0])),
    ),
    (re.compile(r"\b(\d+)(?:st|nd|rd|th)\b", re.I), lambda match: ordinal(int(match[1]))),
    (
        re.compile(
            rf"(?<![\w.])({NUMBER})\s?({'|'.join(sorted(UNITS, key=len, reverse=True))})(?![\w/])",
            re.I,
        ),
        _unit,
    ),
    (re.compile(r"(?<![\w/.])(\d+)/(\d+)(?![\w/])"), _fraction),
    (re.compile(rf"(?<![\w.])({NUMBER})\s?[-–—]\s?(?={NUMBER}\b)"), r"\1 to "),
    (re.compile(rf"\b([A-Za-z]+)-?({NUMBER})\b"), _name),
    (re.compile(MINUS), "minus "),
    (re.compile(rf"(?<![A-Za-z]){NUMBER}"), lambda match: f" {_spoken_number(match[0])} "),
)
