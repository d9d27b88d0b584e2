"""Servers for the contract tests; each starts once."""

import io
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from miniature import write_miniature
from miniature.onnx_file import write_speaker_encoder
from served import Place, served

import mingle
from mingle.engine.assistant import Assistant
from mingle.errors import CheckpointError

PARTS = ("thinker", "vision", "audio", "talker", "painter")


@pytest.fixture(scope="session")
def whole_miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a miniature with all parts; it can imitate voices."""
    folder = write_miniature(tmp_path_factory.mktemp("whole") / "model", PARTS)
    write_speaker_encoder(folder / "talker" / "campplus.onnx")
    return folder


@pytest.fixture(scope="session")
def place(whole_miniature: Path) -> Iterator[Place]:
    """A server of the whole miniature, loaded."""
    assistant = mingle.load(str(whole_miniature))
    assistant.need(*PARTS)
    with served(assistant) as place:
        yield place


@pytest.fixture(scope="session")
def address(place: Place) -> str:
    """Where that server is."""
    return place.url


@pytest.fixture(scope="session")
def nano_itself() -> Iterator[Assistant]:
    """nano with its committed weights; where its base is not here, the test is skipped."""
    assistant = mingle.load("nano")
    try:
        _ = assistant.engine
    except CheckpointError as error:
        pytest.skip(str(error))
    with assistant:
        yield assistant


@pytest.fixture(scope="session")
def png() -> bytes:
    """A red picture."""
    pil = pytest.importorskip("PIL.Image")
    target = io.BytesIO()
    pil.new("RGB", (64, 48), "red").save(target, "PNG")
    return target.getvalue()


@pytest.fixture(scope="session")
def wav() -> bytes:
    """1.5 s of noise."""
    target = io.BytesIO()
    samples = 3000 * np.random.default_rng(0).standard_normal(24_000)
    with wave.open(target, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return target.getvalue()
