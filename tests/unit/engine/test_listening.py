"""Hearing by reading: words stand where recordings stood, the rest of a request stays."""

import numpy as np
import pytest

from mingle.engine.listening import Listener
from mingle.engine.transcribe import Hints, read_segments
from mingle.errors import InputError
from mingle.messages import Audio, Image, Message, Request, Text, Video
from mingle.processing.audio import AudioSettings
from mingle.processing.image import ImageSettings
from mingle.processing.reading import BeamSettings, LetterReader
from mingle.processing.ready import MediaSettings
from mingle.processing.recording import decode_recording
from mingle.processing.word_model import count_words

ALPHABET = " abcdefghijklmnopqrstuvwxyz"
AUDIO = AudioSettings(
    sample_rate_hz=16_000, window=400, hop=160, mels=80, max_seconds=30.0, frames_per_token=4
)
IMAGE = ImageSettings(
    patch_size=8,
    temporal_patch=2,
    merge=2,
    min_pixels=64,
    max_pixels=4096,
    max_aspect=8.0,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
BEAM = BeamSettings(
    width=8, words=0.2, per_word=0.0, unknown=2.0, unknown_letter=0.2, expected=-3.0, least=-8.0
)
TONE = (np.sin(np.arange(16_000) / 20).astype(np.float32), 16_000)


class FakeModel:
    """Hears the same words in everything."""

    def __init__(self, text: str):
        self.text = text

    def read_recordings(self, recordings):
        scores = np.full((2 * len(self.text), len(ALPHABET) + 1), -9.0, np.float32)
        for i, letter in enumerate(self.text):
            scores[2 * i, ALPHABET.index(letter) + 1] = scores[2 * i + 1, 0] = 0.0
        return [scores for _ in recordings]


def listener(text: str = "hello world", beside_pictures: bool = True) -> Listener:
    reader = LetterReader(ALPHABET, count_words([("hello world", 1.0)]), BEAM)
    media = MediaSettings(image=IMAGE, video=None, audio=AUDIO)
    return Listener(
        model=FakeModel(text), reader=reader, media=media, beside_pictures=beside_pictures
    )


@pytest.mark.parametrize("shown", [Image, Video])
def test_beside_pictures_the_thinker_may_hear_for_itself(shown: type[Image | Video]):
    said = Message(role="user", parts=(Audio(source=TONE),))
    seen = Message(role="user", parts=(shown(source="picture.png"),))
    reply = Message(role="assistant", parts=(Text(text="yes"),))
    request = Request(messages=(seen, reply, said))
    ears = listener(beside_pictures=False)
    assert ears.heard(request) == request
    asked = Message(role="user", parts=(Text(text="Who speaks?"), *said.parts))
    _, quoted = ears.heard(Request(messages=(seen, asked))).messages[1].parts
    assert "hello world" in quoted.text
    assert ears.heard(Request(messages=(said,))).messages[0].parts == (Text(text="hello world"),)
    assert listener().heard(request).messages[2].parts == (Text(text="hello world"),)


def test_speech_alone_is_what_the_user_says():
    request = Request(messages=(Message(role="user", parts=(Audio(source=TONE),)),))
    assert listener().heard(request).messages[0].parts == (Text(text="hello world"),)


def test_speech_beside_a_question_is_quoted():
    parts = (Text(text="What is said?"), Audio(source=TONE))
    asked = Request(messages=(Message(role="user", parts=parts),))
    kept, heard = listener().heard(asked).messages[0].parts
    assert kept == parts[0]
    assert isinstance(heard, Text)
    assert '"hello world"' in heard.text


def test_a_request_without_sound_is_the_same_object():
    request = Request(messages=(Message(role="user", parts=(Text(text="hi"),)),))
    assert listener().heard(request) is request


def said(hints: Hints) -> list[str]:
    recording = decode_recording(TONE)
    pieces = [(0, len(recording.samples))]
    return [s.text for s in read_segments(listener(), recording, pieces, hints)]


def test_a_transcript_is_what_the_ears_read():
    assert said(Hints()) == ["hello world"]
    assert said(Hints(language="en", hotwords=("marchetti",))) == ["hello world"]


def test_another_language_is_refused_with_what_the_ears_read():
    with pytest.raises(InputError, match="read English"):
        said(Hints(language="zh"))
