"""Speak with every preset voice, then with a voice cloned from a recording."""

from pathlib import Path

import mingle
from mingle.engine.chapter import write_speech

RECORDING = Path(__file__).parents[1] / "models" / "nano" / "demo" / "recording.flac"
TEXT = "Good morning. The train to the airport leaves at nine."

with mingle.load("nano") as assistant:
    voices = assistant.speech.voices
    for name in voices.presets:
        written = write_speech(assistant.speak(TEXT, voice=name), Path(f"{name}.wav"))
        print(f"{written.file}: {written.seconds:.1f} s")
    clone = voices.clone([RECORDING])
    written = write_speech(assistant.speak(TEXT, voice=clone), Path("clone.wav"))
    print(f"{written.file}: {written.seconds:.1f} s")
