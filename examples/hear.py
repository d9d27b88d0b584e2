"""Write down a recording, without and with words that may occur in it."""

from pathlib import Path

import mingle

RECORDING = Path(__file__).parents[1] / "models" / "nano" / "demo" / "recording.flac"

with mingle.load("nano") as assistant:
    print(assistant.transcribe(RECORDING).text)
    print(assistant.transcribe(RECORDING, hotwords=["conference", "extension"]).text)
    for segment in assistant.transcribe(RECORDING).segments:
        print(f"{segment.start:.1f} to {segment.end:.1f} s: {segment.text}")
