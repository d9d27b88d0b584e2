"""The page against Mingle's own server and the whole miniature: random weights, real ways."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from miniature import write_miniature
from serving_thread import serving
from tour import ask, go, recorded

import mingle
from mingle.engine.assistant import Assistant
from mingle.engine.speak import SpeakOptions
from mingle.messages import Event, Request, TextDelta
from mingle.serving.app import build_app
from mingle.serving.settings import Settings

PARTS = ("thinker", "vision", "audio", "talker", "painter")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the served miniature, in the place of the fake server's."""
    folder = write_miniature(tmp_path_factory.mktemp("page") / "model", PARTS)
    with mingle.load(str(folder)) as assistant:
        assistant.need(*PARTS)
        hurry(assistant)
        spell(assistant)
        short = Settings(name="miniature", default_max_tokens=12, grace_s=1.0)
        app = build_app(assistant, short)
        app.state.house.__dict__["speech_activity"] = Loudness  # the network is not fetched here
        yield from serving(app)


def hurry(assistant: Assistant) -> None:
    """Speech in one step of the flow instead of ten: the microphone waits 2.6 s for its answer."""
    speak = assistant.speak

    def hurried(text: Any, *, options: SpeakOptions, **rest: Any) -> Any:
        return speak(text, options=replace(options, steps=1), **rest)

    assistant.__dict__["speak"] = hurried


def spell(assistant: Assistant) -> None:
    """Whatever the random weights say is written as a word: an answer without letters is silent."""
    stream = assistant.engine.stream

    async def spelled(request: Request) -> AsyncGenerator[Event]:
        async with aclosing(stream(request)) as events:
            async for event in events:
                yield replace(event, text="one ") if isinstance(event, TextDelta) else event

    assistant.engine.__dict__["stream"] = spelled


class Loudness:
    """Takes whatever is loud for speech."""

    def __init__(self):
        self._held = np.empty(0, np.float32)

    def feed(self, samples: np.ndarray) -> Iterator[float]:
        """One figure for each 32 ms."""
        self._held = np.concatenate((self._held, samples))
        while len(self._held) >= 512:
            yield float(np.abs(self._held[:512]).max() > 0.05)
            self._held = self._held[512:]


def test_chat_with_picture_and_spoken_answer(page: Any, picture: Path):
    page.get_by_label("Attach").set_input_files(picture)
    page.get_by_label("Speak the answer").click()
    answer = ask(page, "What is this?")
    answer.get_by_text("first after").wait_for()
    assert "tokens" in answer.inner_text()


def test_speech(page: Any):
    speak = go(page, "Speak")
    speak.get_by_label("Text").fill("One two three.")
    speak.get_by_role("button", name="Speak", exact=True).click()
    speak.get_by_text("Save as WAV").wait_for()


def test_recognition_of_a_recording_by_microphone(page: Any):
    recognise = go(page, "Recognise")
    recognise.get_by_role("button", name="Record", exact=True).click()
    recorded(page, 1.5)
    recognise.get_by_role("button", name="Stop recording").click()
    recognise.get_by_role("button", name="Recognise").click()
    words = recognise.locator(".transcript, .stage .notice:not(.bad)")
    words.first.wait_for()


SLOW_MS = 120_000  # a megapixel on busy cores


def test_painting_then_editing_then_a_mask(page: Any):
    paint = go(page, "Paint")
    paint.get_by_label("What is to be seen").fill("a red disc")
    paint.get_by_text("More options").click()
    paint.get_by_label("Steps").fill("1")
    paint.get_by_role("button", name="Paint").click()
    paint.get_by_role("button", name="Edit").click(timeout=SLOW_MS)
    edit = page.locator('section[aria-label="Edit"]')
    edit.get_by_label("What is to change").fill("make it blue")
    edit.get_by_text("More options").click()
    edit.get_by_label("Steps").fill("1")
    edit.get_by_role("button", name="Edit", exact=True).first.click()
    edit.get_by_label("How much of the picture before").wait_for(timeout=SLOW_MS)
    edit.get_by_role("button", name="Segment").click()
    segment = page.locator('section[aria-label="Segment"]')
    segment.get_by_label("What to find").fill("the disc")
    segment.get_by_text("More options").click()
    segment.get_by_label("Steps").fill("1")
    segment.get_by_role("button", name="Segment").click()
    segment.get_by_role("link", name="Mask").wait_for(timeout=SLOW_MS)


def test_live_spoken_turn_is_answered_and_interrupted(page: Any):
    live = go(page, "Live")
    live.get_by_role("button", name="Start talking").click()
    live.get_by_text("answered after").wait_for(timeout=40_000)
    live.locator(".caption.cut").first.wait_for(timeout=60_000)
    live.get_by_role("button", name="End").click()


def test_live_turn_by_hand(page: Any):
    live = go(page, "Live")
    live.get_by_label("Take turns by hand").click()
    live.get_by_label("Show the camera's picture").click()
    live.get_by_role("button", name="Start talking").click()
    live.get_by_text("Microphone closed").wait_for()
    live.get_by_label("Mute the microphone").click()
    page.wait_for_timeout(1500)
    live.get_by_label("Mute the microphone").click()
    live.get_by_text("answered after").wait_for()
    live.get_by_text("Mingle").wait_for()


def test_model_tells_its_figures(page: Any):
    ask(page, "Hello").get_by_text("first after").wait_for()
    model = go(page, "Model")
    model.get_by_text("seconds, mean since the start").wait_for()
    assert model.locator(".parts .off").count() == 0
    text = model.locator(".experts section").filter(has_text="Text")
    assert "since the start" in text.inner_text() or "just now" in text.inner_text()
