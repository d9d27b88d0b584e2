"""Chatting in a browser: what a person does, and what the server is asked then."""

from pathlib import Path
from typing import Any

from fake_server import Fake
from tour import ask, look, recorded


def test_typed_chat_streams_markdown_and_keeps_the_history(page: Any, fake: Fake):
    answer = ask(page, "What is the capital of France?")
    answer.get_by_text("tokens/s").wait_for()
    assert answer.locator("strong").inner_text() == "Paris"
    assert answer.locator("li").count() == 2
    ask(page, "And of Spain?").get_by_text("tokens/s").wait_for()
    roles = [turn["role"] for turn in fake.asked[-1]["messages"]]
    assert roles == ["user", "assistant", "user"]


def test_answer_in_html_stays_text(page: Any):
    assert look(page, "markdown_cases.js", "hostile", "markdown") == [0, "b"]


def test_markdown_is_read_block_by_block(page: Any):
    assert look(page, "markdown_cases.js", "blocks", "markdown") == [
        ["H2", "Head"],
        ["OL", "onetwo"],
        ["BLOCKQUOTE", "quoted"],
        ["PRE", "<b>x</b>"],
        ["TABLE", "ab12"],
        ["P", "2 * 3 * 4 and snake_case_name"],
    ]


def test_picture_question(page: Any, fake: Fake, picture: Path):
    page.get_by_label("Attach").set_input_files(picture)
    ask(page, "What is this?").get_by_text("I see a red circle.").wait_for()
    image, text = fake.asked[-1]["messages"][-1]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert text == {"type": "text", "text": "What is this?"}


DROP = """element => {
  const carried = new DataTransfer();
  carried.items.add(new File(["not really a picture"], "dropped.png", { type: "image/png" }));
  carried.items.add(new File(["words"], "notes.txt", { type: "text/plain" }));
  element.dispatchEvent(new DragEvent("drop", { bubbles: true, dataTransfer: carried }));
}"""


def test_dropped_files_are_attached_or_refused(page: Any):
    page.locator("section.chat .log").evaluate(DROP)
    page.get_by_text("notes.txt is neither a picture nor a film nor sound.").wait_for()
    page.get_by_role("button", name="Remove dropped.png").click()
    assert page.locator(".composer figure").count() == 0


def test_spoken_question_and_answer(page: Any, fake: Fake):
    page.get_by_role("button", name="Record", exact=True).click()
    recorded(page, 0.6)
    page.get_by_role("button", name="Stop recording").click()
    page.get_by_text("recording.wav").wait_for()
    page.get_by_label("Speak the answer").click()
    ask(page, "What did I say?").get_by_label("Play spoken answer").wait_for()
    sound = fake.asked[-1]["messages"][-1]["content"][0]
    assert sound["input_audio"]["format"] == "wav"
    assert len(sound["input_audio"]["data"]) > 35_000  # 0.56 s of 24 kHz
    assert fake.asked[-1]["modalities"] == ["text", "audio"]


def test_stop_keeps_what_was_written(page: Any, fake: Fake):
    answer = ask(page, "Tell me slowly")
    answer.get_by_text("Paris").first.wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    answer.get_by_text("Stopped.").wait_for()
    ask(page, "Go on").get_by_text("tokens/s").wait_for()
    assert fake.asked[-1]["messages"][1]["content"].startswith("**Paris**")


def test_new_question_ends_the_answer_before_it(page: Any, fake: Fake):
    ask(page, "Tell me slowly").get_by_text("Paris").first.wait_for()
    ask(page, "What is the capital of France?").get_by_text("tokens/s").wait_for()
    assert page.get_by_text("Stopped.").is_visible()
    roles = [turn["role"] for turn in fake.asked[-1]["messages"]]
    assert roles == ["user", "assistant", "user"]


def test_thoughts_are_folded(page: Any, fake: Fake):
    page.get_by_label("Think first").click()
    answer = ask(page, "What is the capital of France?")
    thoughts = answer.get_by_text("its capital is wanted")
    thoughts.wait_for(state="attached")
    assert not thoughts.is_visible()
    answer.get_by_text("Thoughts").click()
    assert thoughts.is_visible()
    assert fake.asked[-1]["reasoning_effort"] == "medium"


def test_failed_answer_says_why_and_can_be_asked_again(page: Any, fake: Fake):
    page.expected_errors.append("500")
    answer = ask(page, "please fail")
    answer.get_by_text("the request failed on purpose").wait_for()
    asked = len(fake.asked)
    page.get_by_role("button", name="Try again").click()
    page.get_by_text("the request failed on purpose").wait_for()
    assert len(fake.asked) == asked + 1
    assert len(fake.asked[-1]["messages"]) == 1
