"""A browser with a camera and a microphone made of files, and a server with known answers."""

import math
import shutil
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import Fake
from PIL import Image
from serving_thread import serving

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-ui-for-media-stream "
    "--use-fake-device-for-media-stream --autoplay-policy=no-user-gesture-required"
).split()


@pytest.fixture(scope="session")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the fake microphone plays again and again."""
    file = tmp_path_factory.mktemp("sound") / "microphone.wav"
    write_tone(file)
    return file


@pytest.fixture(scope="session")
def browser(microphone: Path) -> Iterator[Any]:
    """Headless Chromium, the system's own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="make browser installs it")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; make browser installs it")
    arguments = [*QUIET, f"--use-file-for-fake-audio-capture={microphone}"]
    with playwright.sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A red picture."""
    file = tmp_path / "red.png"
    Image.new("RGB", (96, 64), (200, 30, 30)).save(file)
    return file


@pytest.fixture
def fake() -> Fake:
    """The server's answers; a test may change what the model has."""
    return Fake()


@pytest.fixture
def address(fake: Fake) -> Iterator[str]:
    """The address of the running fake server."""
    yield from serving(fake.app())


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A fresh page; the test fails if its console told of an error, or if it asked elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)  # busy cores
    tab = context.new_page()
    errors: list[str] = []
    tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda asked: _check_address(asked.url, address, errors))
    tab.expected_errors = []
    tab.goto(address)
    yield tab
    context.close()
    unexpected = [e for e in errors if not any(known in e for known in tab.expected_errors)]
    assert unexpected == []


def write_tone(file: Path) -> None:
    """A hum of 1.4 s and 2.6 s of silence, 48 kHz: somebody who says something and waits."""
    samples = [round(20_000 * math.sin(i / 40) * math.sin(i / 3)) for i in range(67_200)]
    samples += [0] * 124_800
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, 48_000, len(samples), "NONE", ""))
        sound.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def _check_address(url: str, address: str, errors: list[str]) -> None:
    if not url.startswith((address, address.replace("http", "ws"), "blob:", "data:")):
        errors.append(f"the page asked {url}")
