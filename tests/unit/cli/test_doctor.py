"""`mingle doctor`: what it finds, and what it calls missing."""

import importlib.metadata
import json
from pathlib import Path

import pytest

from mingle.cli import doctor, main


def test_a_machine_without_the_base_is_told_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("MINGLE_HOME", str(tmp_path / "models"))
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["home"] == str(tmp_path / "models")
    assert report["models"]["nano"]["state"] != "here"
    assert "mingle pull nano" in report["to_do"]
    assert "mingle pull ming-flash-omni-2.0" not in report["to_do"]  # large, a choice, no fault
    assert report["cores"] >= 1
    assert report["memory"]["total"] > 1e8


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    lines = ["numpy>=1", "av>=14; extra == 'media'", "no-such-thing>=1; extra == 'media'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    assert doctor.examine_extras() == {
        "media": {"missing": ["no-such-thing"], "mend": "pip install 'mingle-omni[media]'"}
    }


def test_the_page_shows_every_model_and_extra():
    report = doctor.examine()
    page = "\n".join(doctor.page(report))
    for name in (*report["models"], *report["extras"], report["processor"]):
        assert name in page
