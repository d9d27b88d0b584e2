"""Subtitles: times to the millisecond, blocks that players accept."""

from mingle.engine.subtitles import srt, vtt
from mingle.engine.transcribe import Segment

SAID = (
    Segment(start=0.0, end=1.9996, text="Hello.\n\nYou"),
    Segment(start=3725.5, end=3726.0, text="1 < 2 & so on"),
)


def test_srt():
    assert srt(SAID) == (
        "1\n00:00:00,000 --> 00:00:02,000\nHello.\nYou\n"
        "\n"
        "2\n01:02:05,500 --> 01:02:06,000\n1 < 2 & so on\n"
    )


def test_vtt_escapes_markup():
    assert vtt(SAID) == (
        "WEBVTT\n"
        "\n"
        "00:00:00.000 --> 00:00:02.000\nHello.\nYou\n"
        "\n"
        "01:02:05.500 --> 01:02:06.000\n1 &lt; 2 &amp; so on\n"
    )


def test_no_speech_is_an_empty_list():
    assert (srt([]), vtt([])) == ("", "WEBVTT\n")
