"""`mingle demo` on the miniature: every scene for real, and the page it leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from miniature.films import write_film
from PIL import Image

from mingle.cli import main
from mingle.cli.tour import SCENES


@pytest.fixture(scope="module")
def toured(whole_miniature: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature with media to show."""
    media = whole_miniature / "demo"
    media.mkdir(exist_ok=True)
    tone = 0.3 * np.sin(np.arange(16_000) * 0.1)
    for name in ("recording.flac", "question.flac"):
        soundfile.write(media / name, tone, 16_000)
    Image.new("RGB", (64, 64), (200, 40, 40)).save(media / "picture.png")
    write_film(media / "film.mp4", 6, rate=2)
    return whole_miniature


@pytest.mark.slow
def test_the_whole_tour_leaves_a_page_with_everything_it_made(
    toured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
):
    monkeypatch.setattr("mingle.cli.tour.PAINTING", {"seed": 1, "steps": 1, "resolution": 32})
    assert main(["demo", "--model", str(toured), "-o", str(tmp_path / "tour"), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [scene["name"] for scene in report["scenes"]] == [scene.name for scene in SCENES]
    page = Path(report["page"]).read_text(encoding="utf-8")
    shown = [file for file in (tmp_path / "tour").iterdir() if file.name != "index.html"]
    assert len(shown) == 11  # one voice: the miniature has no presets
    assert all(f'src="{file.name}"' in page for file in shown)
    assert report["lacking"] == []


def test_a_tour_without_its_media_says_which(
    whole_miniature: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
):
    monkeypatch.setattr("mingle.cli.tour.MEDIA", "nowhere")
    command = ["demo", "--model", str(whole_miniature), "-o", str(tmp_path), "--only", "picture"]
    assert main(command) == 2
    assert "picture.png is not in" in capsys.readouterr().err
