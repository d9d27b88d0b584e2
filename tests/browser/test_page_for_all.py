"""The page for everybody: keyboard, contrast, names, phones, small models, locked servers."""

import re
from typing import Any

import pytest
from fake_server import Fake
from tour import VIEWS, go, look


@pytest.fixture
def fake_text_only(fake: Fake) -> Fake:
    """A model with a thinker and nothing else."""
    fake.parts = ("thinker",)
    return fake


def test_views_the_model_cannot_do_say_why(fake_text_only: Fake, page: Any):
    off = page.locator("nav a.off").all_inner_texts()
    assert [re.sub(r"\s*\(.*", "", words) for words in off] == VIEWS[1:7]
    page.get_by_role("link", name="Paint (not available)").click()
    page.get_by_text("fake-omni has no painter, so it cannot paint.").wait_for()
    assert page.get_by_label("What is to be seen").count() == 0


def test_every_view_is_reached_by_keyboard(page: Any):
    go(page, "Model")  # unlike the chat it leaves the focus at the beginning
    page.reload()
    page.get_by_role("heading", name="Model").wait_for()
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
    assert [view for view in reached if view in VIEWS] == VIEWS
    page.get_by_role("link", name="Skip to the content").press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.get_by_role("heading", name="Model").is_visible()
    page.get_by_role("link", name="Paint").press("Enter")
    page.wait_for_function("document.activeElement.textContent === 'Paint'")
    assert page.evaluate("document.activeElement.tagName") == "H1"


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_words_have_contrast_and_controls_have_names(page: Any, theme: str):
    page.get_by_label(theme, exact=True).check(force=True)
    for view in VIEWS:
        go(page, view)
        page.wait_for_timeout(200)  # colours change over a moment
        for closed in page.locator("details:not([open]) > summary").all():
            if closed.is_visible():
                closed.click()
        assert look(page, "audit.js", "faintWords") == [], view
        assert look(page, "audit.js", "namelessControls") == [], view


def test_nothing_is_wider_than_a_phone(page: Any):
    page.set_viewport_size({"width": 360, "height": 740})
    for view in VIEWS:
        go(page, view)
        assert look(page, "audit.js", "overfull") == [], view


def test_the_key_is_asked_for_and_sent(page: Any, fake: Fake):
    page.expected_errors.append("401")
    sent: list[str] = []

    def answer(route: Any) -> None:
        sent.append(route.request.headers.get("authorization", ""))
        if sent[-1] == "Bearer open-sesame":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": {"message": "the API key is missing"}})

    page.route("**/v1/models", answer)
    page.reload()
    page.get_by_label("API key").last.fill("open-sesame")
    page.get_by_role("button", name="Continue").click()
    page.get_by_text("fake-omni").first.wait_for()
    assert sent == ["", "Bearer open-sesame"]
