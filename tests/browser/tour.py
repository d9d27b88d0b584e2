"""What the browser tests share: ways about the page, and scripts that look at it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

VIEWS = "Chat Live Speak Recognise Paint Edit Segment Model".split()
HERE = Path(__file__).parent


def go(page: Any, view: str) -> Any:
    """Click the view's link, on a phone in the menu; its section."""
    menu = page.get_by_role("button", name="Menu")
    if menu.is_visible() and menu.get_attribute("aria-expanded") != "true":
        menu.click()
    page.get_by_role("link", name=view, exact=True).click()
    return page.locator(f'section[aria-label="{view}"]')


def ask(page: Any, words: str) -> Any:
    """Write a message and send it; the last answer."""
    page.get_by_label("Message").fill(words)
    page.get_by_label("Message").press("Enter")
    return page.get_by_role("article", name="Mingle").last


def look(page: Any, file: str, function: str, argument: str = "") -> Any:
    """What a function of one of this folder's scripts returns within the page."""
    plain = (HERE / file).read_text(encoding="utf-8").replace("export function", "function")
    load = 'const { markdown } = await import("./lib/markdown.js");' if argument else ""
    return page.evaluate(f"async () => {{ {load} {plain}\n return {function}({argument}); }}")


def recorded(page: Any, seconds: float) -> None:
    """Wait until the record button's clock shows so many seconds."""
    clock = page.locator(".recording .word")
    until(page, lambda: clock.count() == 1 and _seconds(clock.inner_text()) >= seconds)


def until(page: Any, condition: Callable[[], bool]) -> None:
    """Let the page go on until a condition holds, at most 15 s."""
    for _ in range(300):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come to that")


def _seconds(text: str) -> float:
    return float(text.removesuffix(" s")) if text.endswith(" s") else 0.0
