"""Transcripts of what the user said, beside the answer."""

from collections.abc import Sequence
from contextlib import aclosing

from mingle.engine.transcribe import Hints
from mingle.errors import MingleError
from mingle.processing.recording import Recording
from mingle.serving.house import House
from mingle.serving.realtime.conversation import Item
from mingle.serving.realtime.outbox import Outbox
from mingle.serving.realtime.wire import Transcription
from mingle.serving.transcriptions import segments_of

KIND = "conversation.item.input_audio_transcription"


async def write_down(
    house: House, outbox: Outbox, item: Item, sounds: Sequence[Recording], wish: Transcription
) -> None:
    """Tell the transcript of an item, piece by piece and then whole."""
    hints = Hints(language=wish.language, context=wish.prompt)
    place = {"item_id": item.id, "content_index": 0}
    text = ""
    try:
        for sound in sounds:
            async with aclosing(segments_of(house, sound, hints)) as segments:
                async for segment in segments:
                    delta = f" {segment.text}" if text else segment.text
                    text += delta
                    await outbox.put(f"{KIND}.delta", **place, delta=delta)
    except MingleError as error:
        await outbox.put(f"{KIND}.failed", **place, error=house.tell(error)["error"])
        return
    item.content = [{"type": "input_audio", "transcript": text}]
    seconds = sum(sound.seconds for sound in sounds)
    usage = {"type": "duration", "seconds": seconds}
    await outbox.put(f"{KIND}.completed", **place, transcript=text, usage=usage)
