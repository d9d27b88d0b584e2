"""How something is to be said, as the JSON that the talker was trained to follow."""

import json
from dataclasses import dataclass
from typing import Any

from mingle.errors import InputError

SPEEDS = {"slow": "慢速", "medium": "中速", "fast": "快速"}
LEVELS = {"low": "低", "medium": "中", "high": "高"}
EMOTIONS = {
    "happy": "高兴",
    "sad": "悲伤",
    "angry": "生气",
    "surprised": "惊讶",
    "afraid": "恐惧",
    "disgusted": "厌恶",
    "neutral": "中性",
}
DIALECTS = {"cantonese": "广粤话", "sichuanese": "川渝话"}
MUSIC_KEYS = ("Genre", "Mood", "Instrument", "Theme", "ENV", "SNR")
PLAIN_ORDER = "序号 说话人 方言 风格 语速 基频 音量 情感 BGM IP".split()
MIXED_ORDER = "序号 说话人 BGM 情感 方言 风格 语速 基频 音量 IP".split()
"""The order of the keys where background music has a loudness (SNR)."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """Everything that can be asked for. English words are translated, others go as they are."""

    description: str | None = None
    emotion: str | None = None
    dialect: str | None = None
    speed: str | None = None
    pitch: str | None = None
    volume: str | None = None
    character: str | None = None
    """A known voice of fiction, as the talker names it."""
    music: tuple[tuple[str, Any], ...] = ()
    """Background: pairs out of MUSIC_KEYS, in the order they are to stand."""

    def instruction(self) -> str | None:
        """The JSON, or None if nothing is asked for. Raises InputError for unknown levels."""
        asked = {
            "方言": _translated(self.dialect, DIALECTS),
            "风格": self.description,
            "语速": _one_of("speed", self.speed, SPEEDS),
            "基频": _one_of("pitch", self.pitch, LEVELS),
            "音量": _one_of("volume", self.volume, LEVELS),
            "情感": _translated(self.emotion, EMOTIONS),
            "IP": self.character,
        }
        if not self.music and not any(asked.values()):
            return None
        unknown = [key for key, _ in self.music if key not in MUSIC_KEYS]
        if unknown:
            raise InputError(
                f"background music has no '{unknown[0]}'; known: {', '.join(MUSIC_KEYS)}"
            )
        music = dict(self.music) if self.music else dict.fromkeys(MUSIC_KEYS)
        item = {"序号": 1, "说话人": "speaker_1", "BGM": music, **asked}
        order = MIXED_ORDER if music.get("SNR") is not None else PLAIN_ORDER
        ordered = {key: item[key] for key in order}
        return json.dumps({"audio_sequence": [ordered]}, ensure_ascii=False)


def music_text(*, genre: str, mood: str, instrument: str, theme: str, seconds: int) -> str:
    """A description of music as the talker reads it."""
    return (
        f" Genre: {genre}. Mood: {mood}. Instrument: {instrument}. Theme: {theme}. "
        f"Duration: {seconds}s."
    )


def dialogue_text(lines: list[tuple[int, str]]) -> str:
    """Lines of (speaker counted from 1, words) as the talker reads a conversation."""
    return "".join(f" speaker_{speaker}:{words}\n" for speaker, words in lines)


def _translated(word: str | None, known: dict[str, str]) -> str | None:
    return None if word is None else known.get(word.lower(), word)


def _one_of(name: str, word: str | None, known: dict[str, str]) -> str | None:
    if word is None:
        return None
    if word.lower() not in known and word not in known.values():
        raise InputError(f"{name} is {word!r}; expected {', '.join(known)}")
    return known.get(word.lower(), word)
