"""The other views in a browser: live, speech, recognition, pictures, the model."""

import io
from pathlib import Path
from typing import Any

from fake_server import Fake
from PIL import Image
from tour import go, until


def test_live_turn_is_captioned_and_interrupted(page: Any, fake: Fake):
    live = go(page, "Live")
    live.get_by_label("Show the camera's picture").click()
    live.get_by_role("button", name="Start talking").click()
    live.get_by_text("What do you see?").wait_for()
    live.get_by_text("I see a green test picture").wait_for()
    live.locator(".caption.cut").wait_for()
    live.get_by_text("answered after").wait_for()
    kinds = [event["type"] for event in fake.events]
    assert kinds[0] == "session.update"
    [cut] = [e for e in fake.events if e["type"] == "conversation.item.truncate"]
    assert cut["item_id"] == "a1"
    assert 300 < cut["audio_end_ms"] < 5000  # of 6 s; it was spoken to for 1.4 s
    until(page, lambda: fake.count("conversation.item.create") > 0)  # the camera may be slow
    frame = next(e for e in fake.events if e["type"] == "conversation.item.create")
    assert frame["item"]["content"][0]["image_url"].startswith("data:image/jpeg;base64,")
    live.get_by_role("button", name="End").click()
    live.get_by_text("Not connected").wait_for()


def test_live_turns_by_hand(page: Any, fake: Fake):
    live = go(page, "Live")
    live.get_by_label("Take turns by hand").click()
    live.get_by_role("button", name="Start talking").click()
    live.get_by_text("Microphone closed").wait_for()
    microphone = live.get_by_label("Mute the microphone")
    microphone.click()
    until(page, lambda: fake.count("input_audio_buffer.append") >= 10)
    assert fake.count("response.create") == 0
    microphone.click()
    live.get_by_text("I see a green test picture").wait_for()
    assert fake.events[0]["session"]["audio"]["input"]["turn_detection"] is None
    kinds = [event["type"] for event in fake.events]
    assert kinds[-2:] == ["input_audio_buffer.commit", "response.create"]


def test_live_goes_on_by_hand_where_turns_are_not_heard(page: Any, fake: Fake):
    fake.detects_turns = False
    live = go(page, "Live")
    live.get_by_role("button", name="Start talking").click()
    live.get_by_text("take them by hand").wait_for()
    live.get_by_text("Microphone closed").wait_for()
    live.get_by_label("Mute the microphone").click()
    until(page, lambda: fake.count("input_audio_buffer.append") >= 10)
    live.get_by_label("Mute the microphone").click()
    live.get_by_text("I see a green test picture").wait_for()


def test_live_goes_on_after_a_dropped_connection(page: Any, fake: Fake):
    fake.drops = 1
    live = go(page, "Live")
    live.get_by_role("button", name="Start talking").click()
    live.get_by_text("Reconnecting").wait_for()
    live.get_by_text("I see a green test picture").wait_for()
    again = {"model": "fake-omni", "session": "s1", "after": "1"}
    assert fake.calls == [{"model": "fake-omni"}, again]


def test_speech_is_heard_and_saved(page: Any, fake: Fake):
    speak = go(page, "Speak")
    speak.get_by_label("Text").fill("Good evening.")
    speak.get_by_label("Voice", exact=True).select_option("Nora")
    speak.get_by_text("Manner", exact=True).click()
    speak.get_by_label("Emotion").select_option("happy")
    speak.get_by_role("button", name="Speak", exact=True).click()
    with page.expect_download() as saved:
        speak.get_by_text("Save as WAV").click()
    data = Path(saved.value.path()).read_bytes()
    assert data[:4] == b"RIFF"
    assert len(data) == 44 + 2 * 28_800  # 1.2 s
    asked = fake.asked[-1]
    assert (asked["voice"], asked["emotion"], asked["speed"]) == ("Nora", "happy", 1)


def test_cloning_needs_consent(page: Any, fake: Fake, microphone: Path):
    speak = go(page, "Speak")
    speak.get_by_text("Clone a voice").click()
    speak.get_by_label("Recording of 1 to 60 seconds").set_input_files(microphone)
    speak.get_by_label("Name").fill("Ada")
    speak.get_by_role("button", name="Add the voice").click()
    speak.get_by_text("only with the consent").wait_for()
    assert fake.asked == []
    speak.get_by_label("agreed to be imitated").check()
    speak.get_by_role("button", name="Add the voice").click()
    speak.get_by_text("Ada was added").wait_for()
    assert speak.get_by_label("Voice", exact=True).input_value() == "Ada"
    assert "agreed" in fake.asked[-1]["consent"]


def test_known_words_are_marked_in_the_transcript(page: Any, fake: Fake, microphone: Path):
    recognise = go(page, "Recognise")
    recognise.get_by_label("Recording").set_input_files(microphone)
    recognise.get_by_label("Words that may occur").fill("hangzhou, Dr. Okafor")
    recognise.get_by_role("button", name="Recognise").click()
    with page.expect_download() as saved:
        recognise.get_by_text("Save as SRT").click()
    assert recognise.locator(".transcript mark").all_inner_texts() == ["Dr. Okafor", "Hangzhou"]
    assert fake.asked[-1]["hotwords"] == ["hangzhou", "Dr. Okafor"]
    first = Path(saved.value.path()).read_text().split("\n\n")[0]
    assert first == "1\n00:00:00,000 --> 00:00:01,750\nWe met Dr. Okafor in Hangzhou."


def test_painted_picture_goes_on_to_be_edited(page: Any, fake: Fake):
    paint = go(page, "Paint")
    paint.get_by_label("What is to be seen").fill("Mountains at dusk")
    paint.get_by_text("Wide").click()
    paint.get_by_role("button", name="Paint").click()
    paint.get_by_role("button", name="Edit").click()
    assert fake.asked[-1]["size"] == "1344x768"
    edit = page.locator('section[aria-label="Edit"]')
    edit.get_by_label("What is to change").fill("Make it night")
    edit.get_by_role("button", name="Edit", exact=True).first.click()
    slider = edit.get_by_label("How much of the picture before")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert edit.locator(".compare").evaluate("box => box.style.getPropertyValue('--cut')") == "60%"
    assert fake.asked[-1]["prompt"] == "Make it night"


def test_masks_are_laid_over_and_saved(page: Any, picture: Path):
    segment = go(page, "Segment")
    segment.get_by_label("Picture").set_input_files(picture)
    segment.get_by_label("What to find").fill("the disc\nthe ground")
    segment.get_by_role("button", name="Segment").click()
    segment.get_by_role("link", name="Mask").nth(1).wait_for()
    corner, centre = segment.locator("canvas").evaluate(
        """canvas => [[2, 2], [48, 32]].map(
          ([x, y]) => canvas.getContext("2d").getImageData(x, y, 1, 1).data[3])"""
    )
    assert corner == 0
    assert centre > 120
    with page.expect_download() as saved:
        segment.get_by_role("link", name="Mask").first.click()
    mask = Image.open(io.BytesIO(Path(saved.value.path()).read_bytes()))
    assert mask.getpixel((48, 32)) == 255


def test_model_shows_rates_and_experts(page: Any):
    model = go(page, "Model")
    model.get_by_text("32 of 32, just now").first.wait_for()
    assert model.locator(".experts section").count() == 3
    assert float(model.locator(".tile .value").first.inner_text().split()[0]) > 0
    assert model.get_by_text("Not available yet").count() == 1  # speech: none was made
