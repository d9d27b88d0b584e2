"""`mingle transcribe` on nano: a real recording becomes words, hints are used or refused."""

import json

import pytest

from mingle.checkpoints import packages
from mingle.checkpoints.nano import BASE
from mingle.checkpoints.nano.whisper import ENCODER
from mingle.cli import main
from mingle.worlds import prompts

pytestmark = pytest.mark.skipif(
    not (packages.is_here(BASE) and packages.is_here(ENCODER) and prompts.FOLDER.is_dir()),
    reason="needs nano's base weights and asterisk-core-sounds-en-g722",
)


NAME, WORDS = "conf-getpin", "please enter the conference pin number"  # held out of training


def transcribed(capsys, *options: str) -> dict:
    assert main(["transcribe", "--model", "nano", "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_real_recording_of_unseen_words_is_written_down(capsys):
    told = transcribed(capsys, str(prompts.FOLDER / f"{NAME}.g722"))
    assert told["text"] == WORDS
    assert [segment["text"] for segment in told["segments"]] == [WORDS]
    assert 0 <= told["segments"][0]["start"] < told["segments"][0]["end"]


def test_another_language_is_refused_in_one_line(capsys):
    code = main(["transcribe", str(prompts.FOLDER / f"{NAME}.g722"), "--language", "zh"])
    assert code == 2
    assert "read English" in capsys.readouterr().err
