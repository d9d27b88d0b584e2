"""Shapes of numbers in Chinese text: what stands between digits tells a date from a time.

A group is digits, mark, digits, ... as written. Each shape reads a group or passes it on; the
first one that reads it wins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mingle.talker.text.numerals import han_cardinal, han_digits

NOON = {"am": "上午", "a.m.": "上午", "a m": "上午", "pm": "下午", "p.m.": "下午", "p m": "下午"}
OPERATORS = {
    "+": "加",
    "-": "减",
    "x": "乘",
    "*": "乘",
    "×": "乘",
    "/": "除以",
    "÷": "除以",
    "=": "等于",
    ">": "大于",
    "<": "小于",
    "≥": "大于等于",
    "≤": "小于等于",
    ">=": "大于等于",
    "<=": "小于等于",
}
COLONS = (":", "：")


@dataclass(frozen=True)
class Group:
    """Digits and marks in turn, what is written before and after them, how a number is said."""

    parts: tuple[str, ...]
    before: str = ""
    after: str = ""
    cardinal: Callable[[str], str] = han_cardinal

    @property
    def numbers(self) -> tuple[str, ...]:
        """The digits."""
        return self.parts[::2]

    @property
    def marks(self) -> tuple[str, ...]:
        """What stands between them."""
        return self.parts[1::2]


@dataclass(frozen=True)
class Reading:
    """How a group is read. `eaten` characters of what follows are read with it."""

    kind: str
    text: str
    eaten: int = 0


Shape = Callable[[Group], Reading | None]


def read_group(group: Group, shapes: Sequence[Shape]) -> Reading | None:
    """The first shape that reads the group."""
    return next((found for shape in shapes if (found := shape(group))), None)


def long_telephone(group: Group) -> Reading | None:
    """400-820-8820, 021-6234-5678."""
    sizes = [len(number) for number in group.numbers]
    area = group.numbers[0]
    known = area == "400" or (sizes[0] in (3, 4) and area[0] == "0")
    if group.marks == ("-", "-") and known and sizes[1] in (3, 4) and sizes[2] == 4:
        return Reading("telephone", han_digits("".join(group.numbers), one="幺"))
    return None


def telephone(group: Group) -> Reading | None:
    """010-12345678, 0571-1234567."""
    if group.marks != ("-",):
        return None
    area, number = (len(digits) for digits in group.numbers)
    if (area, number) in ((3, 8), (4, 7), (4, 8)):
        return Reading("telephone", han_digits("".join(group.numbers), one="幺"))
    return None


def named_version(group: Group) -> Reading | None:
    """v1.2.3, or three numbers with dots where a version is spoken of."""
    if group.before.endswith(("v", "V")) or "版本" in group.before:
        return version(group)
    return None


def version(group: Group) -> Reading | None:
    """1.2.3."""
    if group.marks == (".", "."):
        return Reading("version", "点".join(map(group.cardinal, group.numbers)))
    return None


def address(group: Group) -> Reading | None:
    """192.168.1.1, digit by digit."""
    if group.marks == (".",) * 3:
        return Reading("address", "点".join(han_digits(n, one="幺") for n in group.numbers))
    return None


def decimal(group: Group) -> Reading | None:
    """3.14."""
    if group.marks == (".",):
        whole, fraction = group.numbers
        return Reading("decimal", f"{group.cardinal(whole)}点{han_digits(fraction)}")
    return None


def fraction(group: Group) -> Reading | None:
    """3/4."""
    if group.marks == ("/",):
        over, under = map(group.cardinal, group.numbers)
        return Reading("fraction", f"{under}分之{over}")
    return None


def fraction_range(group: Group) -> Reading | None:
    """1-3/4: from one to three quarters."""
    if len(group.marks) == 2 and group.marks[0] in ("-", "~", "～") and group.marks[1] == "/":
        low, over, under = map(group.cardinal, group.numbers)
        return Reading("fraction", f"{low}至{under}分之{over}")
    return None


def full_date(group: Group) -> Reading | None:
    """2024-05-01, with dots or slashes as well; the year has four digits."""
    return any_date(group) if len(group.numbers[0]) == 4 else None


def any_date(group: Group) -> Reading | None:
    """Three numbers of which the last two can be a month and a day."""
    if len(group.marks) != 2 or group.marks[0] != group.marks[1] or group.marks[0] not in "./-":
        return None
    year, month, day = group.numbers
    if not is_month(month) or not is_day(day):
        return None
    return Reading("date", f"{date_words(year, month)}{han_cardinal(day)}号")


def clock(group: Group) -> Reading | None:
    """10:30, 8:05:30, with am or pm behind it; hours and minutes that a clock has."""
    numbers = group.numbers
    if len(numbers) > 1 and (int(numbers[0]) > 24 or any(int(n) > 59 for n in numbers[1:])):
        return None
    return None if any(len(n) != 2 for n in numbers[1:]) else any_time(group)


def any_time(group: Group) -> Reading | None:
    """Two or three numbers of at most two digits, with colons."""
    numbers = group.numbers
    colons = len(group.marks) in (1, 2) and all(mark in COLONS for mark in group.marks)
    if not colons or any(len(number) > 2 for number in numbers):
        return None
    noon = next((mark for mark in NOON if group.after.lower().startswith(mark)), "")
    text = NOON.get(noon, "") + _time_words(*map(int, numbers))
    return Reading("time", text, eaten=len(noon))


def ratio(group: Group) -> Reading | None:
    """3:2."""
    if len(group.marks) == 1 and group.marks[0] in COLONS:
        return Reading("ratio", "比".join(map(group.cardinal, group.numbers)))
    return None


def score(group: Group) -> Reading | None:
    """A ratio even where a clock could show it, because a score is spoken of."""
    return (
        ratio(group) if group.before.endswith(("比分", "比例", "比分是", "比例是", "以")) else None
    )


def equation(group: Group) -> Reading | None:
    """5x6=30: everything that has an equals sign."""
    return formula(group) if "=" in group.marks else None


def formula(group: Group) -> Reading | None:
    """2+3, 4*5; a single minus is a range, not a formula."""
    if group.marks == ("-",) or not group.marks or any(m not in OPERATORS for m in group.marks):
        return None
    words = [group.cardinal(group.numbers[0])]
    for mark, number in zip(group.marks, group.numbers[1:], strict=True):
        words += [OPERATORS[mark], group.cardinal(number)]
    return Reading("formula", "".join(words))


SHAPES: tuple[Shape, ...] = (
    long_telephone,
    named_version,
    equation,
    full_date,
    telephone,
    score,
    clock,
    ratio,
    decimal,
    version,
    address,
    fraction,
    fraction_range,
    formula,
)
"""In order of how sure they are."""


def is_month(digits: str) -> bool:
    """Whether digits can be a month, with or without a leading zero."""
    return len(digits) <= 2 and 1 <= int(digits) <= 12


def is_day(digits: str) -> bool:
    """Whether digits can be a day of a month."""
    return len(digits) <= 2 and 1 <= int(digits) <= 31


def date_words(year: str, month: str) -> str:
    """Year digit by digit, month as a number; either may be missing."""
    spoken = f"{han_digits(year.lstrip('0'))}年" if year else ""
    return spoken + (f"{han_cardinal(month)}月" if month else "")


def _time_words(hour: int, minute: int, second: int | None = None) -> str:
    spoken = f"{'两' if hour == 2 else han_cardinal(str(hour))}点"
    if minute == 0 and not second:
        return f"{spoken}整"
    spoken += f"{_two_digits(minute)}分"
    return spoken if second is None else f"{spoken}{_two_digits(second)}秒"


def _two_digits(number: int) -> str:
    words = han_cardinal(str(number))
    return f"零{words}" if 0 < number < 10 else words
