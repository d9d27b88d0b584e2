"""The table of verbs: each opens, explains itself, and has the options that all have."""

import errno
import io
import sys

import pytest

from mingle.cli import VERBS, main, open_verb


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_opens_and_has_the_common_options(name: str):
    _, parser = open_verb(name)
    options = {option for action in parser._actions for option in action.option_strings}
    assert {"--json", "--verbose", "--help"} <= options


def test_an_unknown_verb_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(["sing"])
    assert stopped.value.code == 2
    assert "transcribe" in capsys.readouterr().err


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_output_to_a_full_disk_is_one_line_and_exit_code_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "stdout", FullDisk())
    assert main(["models"]) == 3
    assert capsys.readouterr().err == "mingle models: the disk is full; make room\n"
