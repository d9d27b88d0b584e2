"""`mingle demo` on a fake assistant: scenes, figures, the page, and what it says of itself."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mingle.cli import demo, tour
from mingle.cli.tour_page import Board
from mingle.engine.assistant import Assistant
from mingle.errors import InputError
from mingle.messages import Event, Finished, TextDelta


class FakeAssistant(Assistant):
    """Says two words to whatever is asked; has no model."""

    def __init__(self) -> None:
        self.folder: Any = SimpleNamespace(parts=("thinker",), folder=Path("nowhere"))

    def stream(self, prompt: str, **options: Any) -> Iterator[Event]:
        yield TextDelta(text="Paris", token_ids=(1,))
        yield TextDelta(text=" <shines>", token_ids=(2, 3))
        yield Finished(reason="stop")


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(StringIO(), tmp_path / "tour", "tiny")


def printed(board: Board) -> str:
    assert isinstance(board.out, StringIO)
    return board.out.getvalue()


def test_a_scene_prints_what_the_model_said_and_counts_its_tokens(board: Board):
    (report,) = tour.play(FakeAssistant(), board, only="question")
    assert report["answer"] == "Paris <shines>"
    assert report["tokens"] == 3
    assert f"you:  {report['question']}\ntiny: Paris <shines>\n" in printed(board)


def test_scenes_whose_parts_are_missing_are_left_out(board: Board):
    reports = tour.play(FakeAssistant(), board, only=None)
    able = [scene.name for scene in tour.SCENES if not scene.parts]
    assert [report["name"] for report in reports] == able
    assert len(able) < len(tour.SCENES)


@pytest.mark.parametrize(
    ("only", "says"),
    [
        ("smell", "no scene 'smell'; the scenes: question"),
        ("paint", "needs painter; this model has none"),
    ],
)
def test_a_scene_that_cannot_be_played_says_why(board: Board, only: str, says: str):
    with pytest.raises(InputError, match=says):
        tour.play(FakeAssistant(), board, only=only)


def test_the_page_shows_every_scene_with_text_escaped(board: Board):
    tour.play(FakeAssistant(), board, only="question")
    page = board.write({"total_s": 1.0}).read_text(encoding="utf-8")
    assert "Paris &lt;shines&gt;" in page
    assert "<h2>A question</h2>" in page


def test_the_summary_has_a_line_for_each_scene_and_hides_no_weakness(board: Board):
    scenes = tour.play(FakeAssistant(), board, only=None)
    report = {
        "model": "nano",
        "load_s": 1.0,
        "total_s": 2.0,
        "scenes": scenes,
        "page": "x",
        "lacking": ["voice"],
    }
    lines = demo.summary(report)
    assert sum("tokens/s" in line for line in lines) == len(scenes)
    assert lines[-1] == "Not trained yet: its voice."
