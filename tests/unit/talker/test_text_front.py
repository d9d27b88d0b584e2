"""The text front end: what is said for what is written, and where it is cut."""

import random
import time

import pytest

from mingle.talker.text.clean import CodeFilter, clean
from mingle.talker.text.cut import cut
from mingle.talker.text.front import normalize, pieces
from mingle.talker.text.marks import semantic_length, tokenize
from mingle.talker.text.numerals import cardinal, han_cardinal, ordinal, year
from mingle.talker.text.segments import Segmenter, SegmentRules

ENGLISH = {
    "1,000 people": "one thousand people",
    "25.5% off": "twenty-five point five percent off",
    "£150 and $-12.99": "one hundred fifty pounds and minus twelve dollars and ninety-nine cents",
    "3/4 cup, 1/2 and 2/3": "three quarters cup, one half and two thirds",
    "1st 2nd 23rd": "first second twenty-third",
    "10ms 5.5 kg 20°C 1 km": "ten milliseconds five point five kilograms twenty degrees celsius "
    "one kilometer",
    "in 1999": "in nineteen ninety-nine",
    "3:45 pm, 10:00, 8:05": "three forty-five p m, ten o'clock, eight oh five",
    "-7.05": "minus seven point zero five",
    "5×6=30": "five times six equals thirty",
    "0": "zero",
    "May 1, 2024": "May first, twenty twenty-four",
    "2024-05-01": "May first, twenty twenty-four",
    "Dr. Smith, e.g. Mr. X": "Doctor Smith, for example Mister X",
    "the 1990s and the 80s": "the nineteen nineties and the eighties",
    "pages 10-20": "pages ten to twenty",
    "call 555-123-4567": "call five five five, one two three, four five six seven",
    "$3.5 million": "three point five million dollars",
    "costs $5 or $6": "costs five dollars or six dollars",
    "see https://example.com/a?b=1 now": "see example dot com now",
    "**bold** and `code`": "bold and code",
    "a [link](http://x.org)": "a link",
    "nice 😀👍": "nice",
    "agent 007": "agent zero zero seven",
    "GPT-4 and v2.1": "GPT four and v two point one",
    "Q&A": "Q and A",
    "don't stop": "don't stop",
}
CHINESE = {
    "今天是2024年5月1日，温度25度。": "今天是二零二四年五月一日，温度二十五度。",
    "价格是$12.5，打8折。": "价格是十二点五美元，打八折。",
    "会议在10:30开始，比分3:2。": "会议在十点三十分开始，比分三比二。",
    "下午3:05": "下午三点零五分",
    "IP是192.168.1.1": "IP是幺九二点幺六八点幺点幺",
    "电话010-12345678": "电话零幺零幺二三四五六七八",
    "手机13800138000": "手机幺三八零零幺三八零零零",
    "占比25.6%，3/4的人": "占比百分之二十五点六，四分之三的人",
    "5×6=30，x+y=3": "五乘六等于三十，x加y等于三",
    "温度-5℃，100km/h": "温度负五摄氏度，一百千米每小时",
    "第3名，2~5天": "第三名，二至五天",
    "20000元，10005个": "两万元，一万零五个",
    "2个人，12位": "两个人，十二位",
    "版本2.1.3": "版本二点一点三",
    "2023-10-01到2023-10-07": "二零二三年十月一号到二零二三年十月七号",
    "他考了0分": "他考了零分",
    "1,000,000元": "一百万元",
}


@pytest.mark.parametrize(("written", "said"), {**ENGLISH, **CHINESE}.items())
def test_what_is_written_is_said(written, said):
    assert normalize(written) == said


@pytest.mark.parametrize(
    "nothing", ["", "  \n ", "。。。", "😀👍", "---", "```\ncode\n```", "!!! ???"]
)
def test_nothing_to_say_is_nothing(nothing):
    assert list(pieces([nothing])) == []


def test_a_lone_zero_is_spoken():
    assert [piece.said for piece in pieces(["0"])] == ["zero"]


TEXTS = [
    "Hello, world. This is the U.S.A. and it costs 3.14 dollars, or 25% more! Really? Yes.",
    "这是一条测试语句。欢迎使用百灵，今天是2024年5月1日！你可以问我一些问题。",
    "第一行\n第二行 mixed with English words, and more of them.\n\nThird line",
    "# Title\n\n- one\n- two\n\n```py\nprint('never said')\n```\nThe end.",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_borders_of_deltas_do_not_matter(text):
    whole = list(pieces([text]))
    draw = random.Random(1)
    for _ in range(20):
        deltas, start = [], 0
        while start < len(text):
            size = draw.randrange(1, 9)
            deltas.append(text[start : start + size])
            start += size
        assert list(pieces(deltas)) == whole


def test_code_is_not_said_and_its_neighbours_are():
    said = [piece.said for piece in pieces([TEXTS[3]])]
    assert said == ["Title. one", "two. The end."]


def test_a_code_filter_passes_text_that_only_looks_like_a_fence():
    code = CodeFilter()
    passed = "".join(code.feed(delta) for delta in ["a `", "``b`\n", "``", "x\n", "`"])
    assert passed + code.finish() == "a ```b`\n``x\n`"


def test_the_first_segment_is_cut_as_soon_as_its_sentence_ends():
    segmenter = Segmenter(SegmentRules())
    assert segmenter.feed("I think so, yes, ") == ["I think so, yes,"]
    assert segmenter.feed("and there is more to") == []
    assert segmenter.feed(" say. No") == [" and there is more to say."]
    assert segmenter.finish() == [" No"]


def test_an_abbreviation_or_a_number_does_not_end_a_segment():
    segmenter = Segmenter(SegmentRules())
    assert segmenter.feed("He and Dr. Who live in the U.S.A. since 1999. Next") == [
        "He and Dr. Who live in the U.S.A. since 1999."
    ]


@pytest.mark.parametrize("limit", [5, 12, 50])
@pytest.mark.parametrize("text", [*TEXTS, "word " * 300, "字" * 300, "x" * 5000])
def test_cutting_loses_nothing_and_keeps_the_limit(text, limit):
    parts = cut(text, limit=limit)
    assert "".join(parts) == text
    assert all(semantic_length(part) <= limit + 5 for part in parts)


def test_cuts_prefer_sentences_then_clauses():
    text = "One two three four. Five six, seven eight nine ten eleven. Twelve."
    assert cut(text, limit=7, tail=1) == [
        "One two three four. ",
        "Five six, seven eight nine ten eleven. ",
        "Twelve.",
    ]


def test_tokens_are_words_numbers_and_single_characters():
    assert tokenize("U.S.A. don't 3.14，你好") == [
        "U.S.A.",
        " ",
        "don't",
        " ",
        "3.14",
        "，",
        "你",
        "好",
    ]


def test_text_without_any_mark_takes_time_in_proportion():
    def seconds(count):
        start = time.process_time()
        for text in ("a" * 10 * count, "word " * count, "1" * 5 * count, "字" * count):
            assert list(pieces([text]))
        return time.process_time() - start

    seconds(100)  # warm up
    assert seconds(2000) < 8 * max(seconds(500), 0.05)  # four times the text; 16 if quadratic


def test_numbers_in_words():
    assert cardinal(1234567) == (
        "one million, two hundred thirty-four thousand, five hundred sixty-seven"
    )
    assert cardinal(2024, joint="and") == "two thousand and twenty-four"
    assert [ordinal(n) for n in (1, 12, 20, 103)] == [
        "first",
        "twelfth",
        "twentieth",
        "one hundred third",
    ]
    assert [year(n) for n in (1900, 1905, 2000, 2005, 2024)] == [
        "nineteen hundred",
        "nineteen oh five",
        "two thousand",
        "two thousand five",
        "twenty twenty-four",
    ]
    spoken = {"10": "十", "105": "一百零五", "10015": "一万零一十五", "200000000": "两亿"}
    assert {digits: han_cardinal(digits) for digits in spoken} == spoken


def test_cleaning_keeps_signs_that_are_read():
    assert clean("5×6=30 is > 20 & 3°") == "5×6=30 is > 20 & 3°"
