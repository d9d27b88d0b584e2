"""mingle chat and mingle transcribe as a user meets them, on the miniature."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from miniature import write_miniature

from mingle.cli import main

PATIENCE_S = 120  # a loaded machine imports torch slowly


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_miniature(tmp_path_factory.mktemp("miniature") / "model"))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = pytest.importorskip("PIL.Image").new("RGB", (64, 64), "red")
    image.save(tmp_path / "red.png")
    return tmp_path / "red.png"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    samples = 3000 * np.random.default_rng(0).standard_normal(16_000)
    with wave.open(str(tmp_path / "noise.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return tmp_path / "noise.wav"


def test_chat_json_is_one_object_with_the_promised_keys(model, picture, capsys):
    argv = ["chat", "What", "is", "this?", "--image", str(picture), "--max-tokens", "5"]
    assert main([*argv, "--model", model, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"text", "reasoning", "usage"}
    assert answer["usage"]["image_tokens"] == 4  # 64 x 64 pixels


def test_the_same_seed_gives_the_same_answer(model, capsys):
    argv = ["chat", "Hi", "--model", model, "--max-tokens", "20", "--temperature", "1.2"]
    answers = []
    for seed in ("1", "1", "2"):
        assert main([*argv, "--seed", seed]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != answers[2]


def test_a_dash_reads_the_question_from_standard_input(model, capsys, monkeypatch):
    counts = []
    for argv, text in ((["-"], "Hello there"), ([], "Hello there"), (["Hello", "there"], "")):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert main(["chat", *argv, "--model", model, "--max-tokens", "1", "--json"]) == 0
        counts.append(json.loads(capsys.readouterr().out)["usage"]["prompt_tokens"])
    assert len(set(counts)) == 1


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["Hi", "--image", "nowhere.png"], 2, "nowhere.png"),
        (["Hi", "--temperature", "-1"], 2, "temperature is -1.0"),
        (["Hi", "--max-tokens", "-5"], 2, "max_new_tokens is -5"),
        (["x" * 9000], 2, "context"),
        (["Hi", "--device", "toaster"], 2, "toaster"),
    ],
)
def test_bad_input_is_one_clear_line(model, argv, code, message, capsys):
    assert main(["chat", *argv, "--model", model]) == code
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1


def test_an_unknown_model_is_one_clear_line(capsys):
    assert main(["chat", "Hi", "--model", "nanoo"]) == 2
    assert "did you mean nano?" in capsys.readouterr().err


def test_transcribe_json_has_the_promised_keys(model, recording, capsys):
    assert main(["transcribe", str(recording), "--model", model, "--json", "--language", "en"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {"text", "language", "dialect", "segments"}
    assert answer["language"] == "en"
    assert [set(segment) for segment in answer["segments"]] == [{"start", "end", "text"}]
    assert answer["segments"][0]["end"] == 1.0


def test_transcribe_writes_subtitles_whole(model, recording, tmp_path):
    out = tmp_path / "said.srt"
    argv = ["transcribe", str(recording), "--model", model, "--format", "srt", "-o", str(out)]
    assert main(argv) == 0
    assert out.read_text(encoding="utf-8").startswith("1\n00:00:00,000 --> 00:00:01,000\n")
    assert sorted(file.name for file in tmp_path.glob("*said*")) == ["said.srt"]


def test_transcribe_names_a_file_that_is_no_sound(model, tmp_path, capsys):
    (tmp_path / "text.wav").write_text("no sound at all")
    assert main(["transcribe", str(tmp_path / "text.wav"), "--model", model]) == 2
    assert "text.wav" in capsys.readouterr().err


class Terminal:
    """mingle chat in a pseudo-terminal of its own."""

    def __init__(self, *argv: str):
        self.fd, side = pty.openpty()
        command = [sys.executable, "-m", "mingle", "chat", *argv]
        self.process = subprocess.Popen(
            command, stdin=side, stdout=side, stderr=side, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "dumb"},
            preexec_fn=lambda: _own_terminal(side),
        )  # fmt: skip
        os.close(side)
        self.seen = ""

    def wait_for(self, text: str) -> str:
        """Read until the text comes; return what came before it."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} did not come; seen: {self.seen!r}"
            self.seen += os.read(self.fd, 4096).decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())


def _own_terminal(fd: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)  # so that Ctrl-C becomes a signal
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job is born deaf to it


def test_ctrl_c_stops_the_answer_and_not_the_program(model):
    terminal = Terminal("--model", model, "--max-tokens", "7000", "--temperature", "0")
    try:
        assert "/help" in terminal.wait_for("> ")
        terminal.type("tell me a long story\n")
        terminal.wait_for("long story\r\n")
        time.sleep(0.2)  # into the answer
        terminal.type("\x03")
        terminal.wait_for("(stopped)")
        terminal.wait_for("> ")
        terminal.type("/image nowhere.png\n")
        terminal.wait_for("nowhere.png does not exist")
        terminal.wait_for("> ")
        time.sleep(0.3)  # the prompt is written before the line is read
        terminal.type("\x03")
        terminal.wait_for("Ctrl-D or /quit leaves")
        terminal.type("/think\n")
        terminal.wait_for("(thinking on)")
        terminal.type("/reset\n")
        terminal.wait_for("(all forgotten)")
        terminal.wait_for("> ")
        terminal.type("\x04")
        assert terminal.process.wait(PATIENCE_S) == 0
    finally:
        terminal.process.kill()
        os.close(terminal.fd)
