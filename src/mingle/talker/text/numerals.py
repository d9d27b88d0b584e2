"""Numbers in words, English and Chinese."""

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = (
    "thousand million billion trillion quadrillion quintillion sextillion septillion octillion "
    "nonillion decillion"
).split()
IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}

HAN_DIGITS = "零一二三四五六七八九"
HAN_SCALES = ("", "万", "亿", "万亿")


def cardinal(number: int, *, joint: str = "") -> str:
    """English words; `joint` ("and") stands before the tens that follow hundreds or thousands.

    Groups are separated by commas, as a voice pauses: one thousand, nine hundred ninety-nine.
    """
    if number < 0:
        return f"minus {cardinal(-number, joint=joint)}"
    groups = _groups(number)
    if len(groups) > len(SCALES) + 1:
        return digits_in_english(str(number))
    if len(groups) == 1:
        return _below_thousand(number, joint)
    named = [
        " ".join(filter(None, (_below_thousand(value, joint), ("", *SCALES)[scale])))
        for scale, value in reversed(list(enumerate(groups)))
        if value
    ]
    if 0 < groups[0] < 100:
        last = named.pop()
        return " ".join(filter(None, (", ".join(named), joint, last)))
    return ", ".join(named)


def ordinal(number: int, *, joint: str = "") -> str:
    """1 -> first, 23 -> twenty-third, 100 -> one hundredth; `joint` as in `cardinal`."""
    words = cardinal(number, joint=joint)
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    stem, last = words[:cut], words[cut:]
    if last in IRREGULAR_ORDINALS:
        return stem + IRREGULAR_ORDINALS[last]
    return stem + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


def year(number: int) -> str:
    """1999 -> nineteen ninety-nine, 1905 -> nineteen oh five, 2024 -> twenty twenty-four."""
    century, rest = divmod(number, 100)
    if not 1000 < number < 10000 or (century % 10 == 0 and rest < 10):
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {f'oh {cardinal(rest)}' if rest < 10 else cardinal(rest)}"


def decimal(text: str, *, joint: str = "") -> str:
    """A number as written, digits and at most one point: 3.05 -> three point zero five."""
    whole, _, fraction = text.partition(".")
    words = cardinal(int(whole or "0"), joint=joint)
    return f"{words} point {digits_in_english(fraction)}" if fraction else words


def digits_in_english(digits: str) -> str:
    """One by one: 105 -> one zero five."""
    return " ".join(ONES[int(digit)] for digit in digits)


def han_cardinal(digits: str) -> str:
    """A whole number in Chinese characters: 105 -> one hundred zero five, 20000 -> liang wan."""
    digits = digits.lstrip("0") or "0"
    groups = [digits[max(0, end - 4) : end] for end in range(len(digits), 0, -4)]
    if len(groups) > len(HAN_SCALES):
        return han_digits(digits)
    words, gap = "", False
    for place, group in reversed(list(enumerate(groups))):
        spoken = han_group(group)
        if words and spoken:
            spoken = f"一{spoken}" if spoken.startswith("十") else spoken
            spoken = f"{HAN_DIGITS[0]}{spoken}" if gap or group.startswith("0") else spoken
        if spoken == HAN_DIGITS[2] and place:
            spoken = "两"
        gap = not spoken
        words += spoken + HAN_SCALES[place] if spoken else ""
    return words or HAN_DIGITS[0]


def han_decimal(text: str) -> str:
    """A number as written, with a point or without."""
    whole, _, fraction = text.partition(".")
    return han_cardinal(whole) + (f"点{han_digits(fraction)}" if fraction else "")


def han_digits(digits: str, *, one: str = "一") -> str:
    """One by one; telephone numbers say `one` as yao."""
    return "".join(one if digit == "1" else HAN_DIGITS[int(digit)] for digit in digits)


def _groups(number: int) -> list[int]:
    groups = [number % 1000]
    while number := number // 1000:
        groups.append(number % 1000)
    return groups


def _below_thousand(number: int, joint: str) -> str:
    hundreds, rest = divmod(number, 100)
    below = ONES[rest] if rest < 20 else TENS[rest // 10 - 2]
    if rest >= 20 and rest % 10:
        below += f"-{ONES[rest % 10]}"
    if not hundreds:
        return below
    return " ".join(filter(None, (ONES[hundreds], "hundred", *((joint, below) if rest else ()))))


def han_group(digits: str) -> str:
    """Up to four digits; two is liang before hundreds and thousands, ten to nineteen drop yi."""
    digits = digits.lstrip("0")
    if len(digits) == 2 and digits[0] == "1":
        return "十" + (HAN_DIGITS[int(digits[1])] if digits[1] != "0" else "")
    words, skipped = "", False
    for place, digit in zip(range(len(digits) - 1, -1, -1), digits, strict=True):
        if digit == "0":
            skipped = True
            continue
        words += HAN_DIGITS[0] if skipped else ""
        skipped = False
        words += "两" if digit == "2" and place >= 2 else HAN_DIGITS[int(digit)]
        words += ("", "十", "百", "千")[place]
    return words
