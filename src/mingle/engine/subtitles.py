"""Segments as subtitles: SubRip (.srt) and WebVTT (.vtt)."""

from collections.abc import Iterable

from mingle.engine.transcribe import Segment


def srt(segments: Iterable[Segment]) -> str:
    """Numbered blocks, a comma before the milliseconds."""
    blocks = (
        f"{number}\n{_time(s.start, ',')} --> {_time(s.end, ',')}\n{_one_block(s.text)}\n"
        for number, s in enumerate(segments, start=1)
    )
    return "\n".join(blocks)


def vtt(segments: Iterable[Segment]) -> str:
    """A header, blocks, a point before the milliseconds; markup in the text is escaped."""
    blocks = (
        f"{_time(s.start, '.')} --> {_time(s.end, '.')}\n{_escaped(_one_block(s.text))}\n"
        for s in segments
    )
    return "\n".join(("WEBVTT\n", *blocks))


def _time(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _one_block(text: str) -> str:
    """An empty line would end the block."""
    return "\n".join(line for line in text.splitlines() if line.strip())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
