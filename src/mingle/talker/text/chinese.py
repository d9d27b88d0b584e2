"""Numbers in Chinese text -> as they are read: dates, times, money, measures, telephones.

The text is split into runs of digits, of marks that stand between digits, and of the rest. What
stands between two runs of the rest (12:30, 3.5, 2024-05-01) is told by its shape; single numbers
are told by the words around them; marks left over become "to" or "minus".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from mingle.talker.text.han_shapes import (
    SHAPES,
    Group,
    Shape,
    date_words,
    is_day,
    is_month,
    read_group,
)
from mingle.talker.text.han_units import BEFORE, LABELS, MONEY, PAIRS, PER, UNITS
from mingle.talker.text.numerals import han_cardinal, han_digits

MARKS = re.escape("-~～:：.+x*/÷=≥≤><")
RANGE_MARKS = ("-", "~", "～")
RUNS = re.compile(rf"(?P<digits>[0-9]+)|(?P<mark>[{MARKS}]+)|(?P<text>[^0-9{MARKS}]+)")
SERIAL = re.compile(r"(?=[A-Z0-9-]*[A-Z])(?=[A-Z0-9-]*[0-9])[A-Z0-9-]+")
SERIAL_WORDS = ("SN", "sn", "序列")
MEASURED = frozenset({"money", "before", "after", "percent", "decimal", "fraction", "number"})
RANGED = frozenset({"date", "time", "address"})
HALF_WIDTH = {ord("０") + n: str(n) for n in range(10)} | {ord("％"): "%"}


@dataclass(frozen=True)
class Item:
    """A stretch of the text. Written kinds (text, mark, digits) still stand as they were."""

    kind: str
    text: str = ""
    head: str = ""
    tail: str = ""
    low: str = ""
    """The lower end, where the number is the upper one of a range."""

    @property
    def spoken(self) -> str:
        """How it is read."""
        low = f"{self.low}至" if self.low else ""
        return f"{self.head}{low}{self.text}{self.tail}"


@dataclass(frozen=True, kw_only=True)
class Habits:
    """What a reader knows: words around numbers, shapes of groups, how a number is said."""

    money: Mapping[str, str]
    before: Mapping[str, str]
    units: Mapping[str, str]
    per: Mapping[str, str]
    labels: Mapping[str, str]
    pairs: frozenset[str]
    """Two of these is liang, not er."""
    shapes: Sequence[Shape]
    cardinal: Callable[[str], str]
    rest: Callable[[str], str] | None
    """How digits are read that nothing around explains; None leaves them as they are."""


def say_rest(digits: str) -> str:
    """A number up to eight digits; longer ones, and those with a leading zero, digit by digit."""
    if len(digits) > 8 or (len(digits) > 1 and digits.startswith("0")):
        return han_digits(digits, one="幺")
    return han_cardinal(digits)


HABITS = Habits(
    money=MONEY,
    before=BEFORE,
    units=UNITS,
    per=PER,
    labels={f"{word}{after}": word for word in LABELS for after in ("", ":", "：", "是")},
    pairs=PAIRS,
    shapes=SHAPES,
    cardinal=han_cardinal,
    rest=say_rest,
)


def read_numbers(text: str, habits: Habits = HABITS) -> str:
    """The text with every number as a Chinese voice reads it."""
    text = _spell_serials(text.translate(HALF_WIDTH))
    items = [Item(match.lastgroup or "", match[0]) for match in RUNS.finditer(text)]
    items = _count(_gather(items, habits), habits)
    if habits.rest is not None:
        items = [replace(i, kind="number", text=habits.rest(i.text)) if i.kind == "digits" else i
                 for i in items]  # fmt: skip
    return "".join(item.spoken for item in _join(items, habits))


def _spell_serials(text: str) -> str:
    """Spell what looks like a serial number: announced as one, or letters and digits mixed much."""

    def spell(match: re.Match[str]) -> str:
        kinds = ["0" if c.isdigit() else c if c == "-" else "A" for c in match[0]]
        changes = sum(a != b for a, b in pairwise(kinds))
        before = re.split(SERIAL, text[: match.start()])[-1]
        if changes < 5 and not any(word in before for word in SERIAL_WORDS):
            return match[0]
        return "".join(
            han_digits(c, one="幺") if c.isdigit() else "杠" if c == "-" else c for c in match[0]
        )

    return SERIAL.sub(spell, text)


# --- groups ---------------------------------------------------------------------------------------


def _gather(items: Sequence[Item], habits: Habits) -> list[Item]:
    """Read the groups between two runs of text by their shape."""
    gathered: list[Item] = []
    between: list[Item] = []
    for item in (*items, Item("text")):
        if item.kind != "text":
            between.append(item)
            continue
        if between and between[0].kind == "mark":
            gathered.append(between.pop(0))
        trailing = [between.pop()] if len(between) > 3 and between[-1].kind == "mark" else []
        if len(between) < 3:
            gathered += [*between, *trailing, item]
        else:
            before = gathered[-1].text if gathered else ""
            after = [*trailing, item]
            group, after[0] = _read(between, before, after[0], habits)
            gathered += [*group, *after]
        between = []
    return [item for item in gathered if item.text]


def _read(
    between: Sequence[Item], before: str, after: Item, habits: Habits
) -> tuple[list[Item], Item]:
    """A group as one item, as a range of two, or as it stood; and what is left of what follows."""
    parts = tuple(item.text for item in between)
    reading = read_group(Group(parts, before, after.text, habits.cardinal), habits.shapes)
    if reading is not None:
        rest = replace(after, text=after.text[reading.eaten :])
        return [Item(reading.kind, reading.text)], rest
    middle = len(parts) / 2
    ranges = [n for n, part in enumerate(parts) if part in RANGE_MARKS]
    if ranges:
        at = min(ranges, key=lambda n: abs(n - middle))
        low = read_group(Group(parts[:at], before, "至", habits.cardinal), habits.shapes)
        later = Group(parts[at + 1 :], "至", after.text, habits.cardinal)
        high = read_group(later, habits.shapes)
        if low and high and low.kind == high.kind:
            rest = replace(after, text=after.text[high.eaten :])
            return [Item(low.kind, low.text), Item("text", "至"), Item(high.kind, high.text)], rest
    return list(between), after


# --- words around numbers -------------------------------------------------------------------------


def _count(items: list[Item], habits: Habits) -> list[Item]:
    """Give single numbers the reading that the words around them ask for."""
    position = 0
    while position < len(items):
        if items[position].kind in ("digits", "decimal"):
            for rule in (_money_before, _date, _money_after, _before, _after, _percent, _label):
                if (found := rule(items, position, habits)) is not None:
                    items = [item for item in found if item.text]
                    break
        position += 1
    return items


def _money_before(items: list[Item], at: int, habits: Habits) -> list[Item] | None:
    key = _key_before(items, at, habits.money)
    number = _quantity(items[at], "money", habits, tail=habits.money[key]) if key else None
    return _put(items, at, number, cut_before=len(key)) if number else None


def _money_after(items: list[Item], at: int, habits: Habits) -> list[Item] | None:
    key = _key_after(items, at, habits.money)
    number = _quantity(items[at], "money", habits, tail=habits.money[key]) if key else None
    return _put(items, at, number, cut_after=len(key)) if number else None


def _before(items: list[Item], at: int, habits: Habits) -> list[Item] | None:
    key = _key_before(items, at, habits.before)
    number = _quantity(items[at], "before", habits, head=habits.before[key]) if key else None
    return _put(items, at, number, cut_before=len(key)) if number else None


def _after(items: list[Item], at: int, habits: Habits) -> list[Item] | None:
    key = _key_after(items, at, habits.units)
    if not key:
        return None
    tail, eaten = habits.units[key], len(key)
    number = _quantity(items[at], "after", habits, tail=tail)
    if items[at].text == "2" and tail in habits.pairs:
        number = replace(number, text="两")
    put = _put(items, at, number, cut_after=eaten)
    return _per(put, put.index(number), habits)


def _per(items: list[Item], at: int, habits: Habits) -> list[Item]:
    """km/h: the slash behind a unit is "each"."""
    later = [item for item in items[at + 1 :] if item.text]
    if len(later) < 2 or later[0].text != "/":
        return items
    for key in sorted(habits.per, key=len, reverse=True):
        if re.match(rf"{key}(?![A-Za-z])", later[1].text):
            spoken = replace(items[at], tail=f"{items[at].tail}每{habits.per[key]}")
            rest = replace(later[1], text=later[1].text[len(key) :])
            return [*items[:at], spoken, rest, *later[2:]]
    return items


def _percent(items: list[Item], at: int, habits: Habits) -> list[Item] | None:
    if at + 1 == len(items) or not items[at + 1].text.startswith("%"):
        return None
    return _put(items, at, _quantity(items[at], "percent", habits, head="百分之"), cut_after=1)


def _label(items: list[Item], at: int, habits: Habits) -> list[Item] | None:
    key = _key_before(items, at, habits.labels)
    if not key or items[at].kind != "digits":
        return None
    return _put(items, at, Item("label", han_digits(items[at].text, one="幺")))


def _date(items: list[Item], at: int, habits: Habits) -> list[Item] | None:
    """Year, month and day as far as they are written out: nian, yue, ri or hao behind them."""
    run = [item.text for item in items[at : at + 6]]
    run += [""] * (6 - len(run))
    first, second, third = run[0], run[2], run[4]
    day_after, month_after = run[5][:1], run[3][:1]
    if items[at].kind != "digits":
        return None
    if run[1] == "年" and run[3] == "月" and day_after in ("日", "号") and third.isdigit():
        if second.isdigit() and is_month(second) and is_day(third):
            words = f"{date_words(first, second)}{habits.cardinal(third)}{day_after}"
            return _date_item(items, at, 5, words)
    if run[1] == "年" and month_after == "月" and second.isdigit() and is_month(second):
        return _date_item(items, at, 3, date_words(first, second))
    days = run[1] == "月" and month_after in ("日", "号") and second.isdigit()
    if days and is_month(first) and is_day(second):
        words = f"{date_words('', first)}{habits.cardinal(second)}{month_after}"
        return _date_item(items, at, 3, words)
    if run[1].startswith("年") and len(first) == 4:
        return _date_item(items, at, 1, date_words(first, ""))
    return None


def _date_item(items: list[Item], at: int, last: int, words: str) -> list[Item]:
    """Replace what the date is made of; the last item keeps what follows its first character."""
    rest = replace(items[at + last], text=items[at + last].text[1:])
    return [*items[:at], Item("date", words), rest, *items[at + last + 1 :]]


def _quantity(item: Item, kind: str, habits: Habits, *, head: str = "", tail: str = "") -> Item:
    words = habits.cardinal(item.text) if item.kind == "digits" else item.text
    return Item(kind, words, head=head, tail=tail)


def _key_before(items: list[Item], at: int, table: Mapping[str, str]) -> str:
    """The longest key that the text before ends in, not in the middle of a Latin word."""
    text = items[at - 1].text if at and items[at - 1].kind in ("text", "mark") else ""
    for size in range(min(len(text), _longest(table)), 0, -1):
        key, before = text[-size:], text[-size - 1 : -size]
        if key in table and not (_latin(key[0]) and _latin(before)):
            return key
    return ""


def _key_after(items: list[Item], at: int, table: Mapping[str, str]) -> str:
    """The longest key that the text behind begins with, not in the middle of a Latin word."""
    follows = at + 1 < len(items) and items[at + 1].kind in ("text", "mark")
    text = items[at + 1].text if follows else ""
    for size in range(min(len(text), _longest(table)), 0, -1):
        key, behind = text[:size], text[size : size + 1]
        if key in table and not (_latin(key[-1]) and _latin(behind)):
            return key
    return ""


def _longest(table: Mapping[str, str]) -> int:
    return max(map(len, table), default=0)


def _latin(character: str) -> bool:
    return character.isascii() and character.isalpha()  # false for nothing at all


def _put(
    items: list[Item], at: int, item: Item, *, cut_before: int = 0, cut_after: int = 0
) -> list[Item]:
    """Put an item in place of a number, and take its words away from the neighbours."""
    found = [*items[:at], item, *items[at + 1 :]]
    if cut_before:
        text = items[at - 1].text
        found[at - 1] = replace(items[at - 1], text=text[: len(text) - cut_before])
    if cut_after:
        found[at + 1] = replace(items[at + 1], text=items[at + 1].text[cut_after:])
    return found


# --- marks that are left --------------------------------------------------------------------------


def _join(items: list[Item], habits: Habits) -> list[Item]:
    """Read a dash before a number: a range, or a minus."""
    joined: list[Item] = []
    for item in items:
        mark = joined[-1] if joined and joined[-1].kind == "mark" else None
        before = joined[-2] if len(joined) > 1 else None
        if mark is None or mark.text not in RANGE_MARKS:
            joined.append(item)
        elif item.kind in RANGED and before and before.kind == item.kind:
            joined[-1:] = [Item("text", "至"), item]
        elif item.kind not in MEASURED:
            joined.append(item)
        elif before and _same_kind(before.kind, item.kind):
            joined[-1:] = [Item("text", "至"), item]
        elif before and before.kind in ("digits", "number"):
            low = before.text if before.kind == "number" else habits.cardinal(before.text)
            joined[-2:] = [replace(item, low=low)]
        elif item.kind == "number" and before and _latin(before.text[-1:]):
            joined[-1:] = [item]  # a name: GPT-4
        elif before is None or before.kind == "text":
            joined[-1:] = [Item("text", "负" if mark.text == "-" else "大约"), item]
        else:
            joined.append(item)
    return joined


def _same_kind(before: str, kind: str) -> bool:
    return before == kind or (before in ("before", "money") and kind in ("after", "money"))
