"""`mingle evaluate`: figures, what is left out, the page; with abilities of the test's own."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mingle.cli import main
from mingle.evaluation.abilities import Ability, Effort, Figure
from mingle.evaluation.abilities.figure import mean, ratio, share


def counted(assistant: Any, effort: Effort) -> list[Figure]:
    folder = effort.folder("counting")
    if folder is not None:
        Image.new("RGB", (4, 4)).save(folder / "worst_ones.png")
        (folder / "said.txt").write_text("<one> two", encoding="utf-8")
    value, low, high = share([True] * 9 + [False])
    figure = Figure(
        name="right", value=value, low=low, high=high, count=10, better="higher", bar=0.8
    )
    return [figure]


def ability(name: str, part: str) -> Ability:
    return Ability(name=name, title=name, parts=(part,), data="ten", measure=counted)


@pytest.fixture(autouse=True)
def abilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mingle.evaluation.abilities.ABILITIES",
        (ability("counting", "thinker"), ability("flying", "wings")),
    )


def test_figures_come_as_json_with_their_verdicts(whole_miniature: Path, capsys: Any):
    assert main(["evaluate", str(whole_miniature), "--json"]) == 0
    counting, flying = json.loads(capsys.readouterr().out)["abilities"]
    assert counting["figures"][0]["value"] == 0.9
    assert counting["figures"][0]["passed"] is True
    assert flying["skipped"] == "the model has no wings"


def test_the_page_shows_figures_and_samples(whole_miniature: Path, tmp_path: Path, capsys: Any):
    assert main(["evaluate", str(whole_miniature), "--report", str(tmp_path)]) == 0
    assert "at least 0.8: reached" in capsys.readouterr().out
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for part in ('src="counting/worst_ones.png"', "&lt;one&gt; two", "left out: the model has no"):
        assert part in page


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--only", "singing"], "no ability 'singing'; known: counting, flying"),
        (["--share", "0"], "--share is 0.0; give more than 0"),
    ],
)
def test_wrong_options_are_told(options: list[str], says: str, capsys: Any):
    assert main(["evaluate", *options]) == 2
    assert says in capsys.readouterr().err


def test_intervals_hold_the_value_and_narrow_with_the_number_of_items():
    few, many = share([True, False] * 5), share([True, False] * 500)
    assert few[1] < many[1] < 0.5 < many[2] < few[2]
    value, low, high = ratio([1, 0, 2, 1], [10, 10, 10, 10])
    assert value == pytest.approx(0.1)
    assert low < value < high
    assert mean([2.0, 4.0])[0] == pytest.approx(3.0)
