"""The examples run as they stand, here on the miniature; `chat.py` on nano is in test_readme."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from miniature.onnx_file import write_speaker_encoder
from served import Place

import mingle
from mingle.engine.assistant import Assistant

EXAMPLES = Path(__file__).parents[2] / "examples"
FAST = {"steps": 1, "resolution": 32}


@pytest.fixture
def on_miniature(whole_miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mingle.load` opens the miniature, painting is quick, files land in a folder of the test."""
    load = mingle.load
    monkeypatch.setattr(mingle, "load", lambda name: load(whole_miniature))
    monkeypatch.chdir(tmp_path)
    for verb in ("paint", "edit", "segment"):
        plain = getattr(Assistant, verb)
        quick = lambda *args, _plain=plain, **kw: _plain(*args, **{**kw, **FAST})  # noqa: E731
        monkeypatch.setattr(Assistant, verb, quick)
    encoder = whole_miniature / "talker" / "campplus.onnx"
    if not encoder.exists():
        write_speaker_encoder(encoder)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("see", []),
        ("hear", []),
        ("speak", ["clone.wav"]),
        ("paint", ["edited.png", "mask.png", "painted.png"]),
    ],
)
def test_an_example_runs_and_makes_what_it_says(
    name: str, made: list[str], on_miniature: None, tmp_path: Path, capsys: Any
):
    runpy.run_path(str(EXAMPLES / f"{name}.py"))
    assert sorted(file.name for file in tmp_path.iterdir()) == made
    assert capsys.readouterr().out.strip()


def test_the_client_example_talks_to_a_server(place: Place, monkeypatch: Any, capsys: Any):
    monkeypatch.setattr("sys.argv", ["client.py", f"{place.url}/v1"])
    runpy.run_path(str(EXAMPLES / "client.py"))
    assert capsys.readouterr().out.endswith("\n")
