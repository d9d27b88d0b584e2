"""Draw docs/screenshots anew: `python tests/browser/screenshots.py`; the fake server answers.

`--all FOLDER` draws every view in both themes, on a desk and on a phone, for eyes to look at.
"""

import argparse
import io
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import CHROMIUM, QUIET, write_tone
from fake_server import Fake, scene
from PIL import Image
from playwright.sync_api import sync_playwright
from serving_thread import serving
from tour import ask, go

TARGET = Path(__file__).parents[2] / "docs" / "screenshots"
MATERIAL = Path("/tmp/mingle-screenshots")
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


def chat(page: Any) -> None:
    """A picture, a question, a spoken answer with its thoughts."""
    page.get_by_label("Think first").click()
    page.get_by_label("Speak the answer").click()
    answer = ask(page, "What is the capital of France?")
    answer.get_by_text("Thoughts").click()
    answer.get_by_text("tokens/s").wait_for()
    page.get_by_label("Attach").set_input_files(MATERIAL / "mountains.png")
    page.get_by_label("Message").fill("And where might this be?")


def live(page: Any) -> None:
    """A turn, its answer, an interruption."""
    view = go(page, "Live")
    view.get_by_role("button", name="Start talking").click()
    view.locator(".caption.cut").wait_for()


def recognise(page: Any) -> None:
    """A transcript with marked names."""
    view = go(page, "Recognise")
    view.get_by_label("Recording").set_input_files(MATERIAL / "meeting.wav")
    view.get_by_label("Words that may occur").fill("Hangzhou, Dr. Okafor")
    view.get_by_role("button", name="Recognise").click()
    view.get_by_text("Save as SRT").wait_for()


def speak(page: Any) -> None:
    """A sentence, spoken, with the manner open."""
    view = go(page, "Speak")
    view.get_by_label("Text").fill("Good evening. The train to Hangzhou leaves at nine.")
    view.get_by_text("Manner", exact=True).click()
    view.get_by_role("button", name="Speak", exact=True).click()
    view.get_by_text("Save as WAV").wait_for()


def paint(page: Any) -> None:
    """A painted picture."""
    view = go(page, "Paint")
    view.get_by_label("What is to be seen").fill("Mountains at dusk")
    view.get_by_role("button", name="Paint", exact=True).click()
    view.get_by_role("button", name="Edit").wait_for()


def edit(page: Any) -> None:
    """Before and after."""
    view = go(page, "Edit")
    view.get_by_label("Picture").set_input_files(MATERIAL / "mountains.png")
    view.get_by_label("What is to change").fill("Make it a clear night")
    view.get_by_role("button", name="Edit", exact=True).click()
    view.locator(".compare").wait_for()


def segment(page: Any) -> None:
    """A mask over its picture."""
    view = go(page, "Segment")
    view.get_by_label("Picture").set_input_files(MATERIAL / "mountains.png")
    view.get_by_label("What to find").fill("the snow field")
    view.get_by_role("button", name="Segment", exact=True).click()
    view.get_by_role("link", name="Mask").wait_for()
    view.locator(".legend").scroll_into_view_if_needed()


def model(page: Any, seconds: float = 4) -> None:
    """Rates and experts, after a while."""
    view = go(page, "Model")
    view.get_by_text("just now").first.wait_for()
    page.wait_for_timeout(1000 * seconds)


def model_later(page: Any) -> None:
    """The same with more to see in the plots."""
    model(page, 30)


def menu(page: Any) -> None:
    """The open menu of a phone."""
    page.get_by_role("button", name="Menu").click()


Prepare = Callable[[Any], None]
VIEWS: tuple[Prepare, ...] = (chat, live, speak, recognise, paint, edit, segment, model)
SHOTS: tuple[tuple[str, Prepare, str, dict[str, int]], ...] = (
    ("chat-light", chat, "light", DESK),
    ("chat-phone", chat, "dark", PHONE),
    ("live-dark", live, "dark", DESK),
    ("recognise-light", recognise, "light", DESK),
    ("edit-dark", edit, "dark", DESK),
    ("segment-phone", segment, "light", PHONE),
    ("model-light", model_later, "light", DESK),
)
ALL = (
    *(
        (f"{prepare.__name__}-{theme}-{name}", prepare, theme, size)
        for prepare in VIEWS
        for theme in ("light", "dark")
        for name, size in (("desk", DESK), ("phone", PHONE))
    ),
    ("menu-light-phone", menu, "light", PHONE),
    ("menu-dark-phone", menu, "dark", PHONE),
)


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every view into this folder")
    everything = parser.parse_args().all
    target = everything or TARGET
    MATERIAL.mkdir(exist_ok=True)
    scene((255, 176, 92)).save(MATERIAL / "mountains.png")
    write_tone(MATERIAL / "meeting.wav")
    target.mkdir(parents=True, exist_ok=True)
    with contextmanager(serving)(Fake().app()) as address, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        for name, prepare, theme, size in ALL if everything else SHOTS:
            page = browser.new_page(viewport=size, color_scheme=theme)
            page.set_default_timeout(120_000)  # a busy machine
            page.goto(address)
            page.get_by_text("fake-omni").first.wait_for(state="attached")
            prepare(page)
            page.wait_for_timeout(400)  # colours and bars come to rest
            drawn = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            drawn.save(target / f"{name}.png", optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
