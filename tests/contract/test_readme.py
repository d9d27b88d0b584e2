"""The README keeps its word: its commands parse, its Python and what needs no download runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mingle.checkpoints import packages
from mingle.checkpoints.nano import BASE
from mingle.cli import VERBS, main, open_verb

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = ("doctor", "models")  # quick, and no download


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    """Every `mingle` command of the README, as arguments."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("mingle ")]


def nano_is_here() -> bool:
    return packages.is_here(BASE)


def test_the_readme_shows_commands():
    assert {"chat", "pull", "doctor", "models"} <= {command[0] for command in commands()}


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_each_command_has_the_options_that_it_uses(command: list[str]):
    assert command[0] in VERBS
    _, parser = open_verb(command[0])
    parser.parse_intermixed_args(command[1:])  # exits on an unknown option


@pytest.mark.parametrize("command", [c for c in commands() if c[0] in RUN], ids=" ".join)
def test_commands_that_need_no_download_run(command: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(command) == 0
    assert "nano" in capsys.readouterr().out


@pytest.mark.skipif(not nano_is_here(), reason="nano's base is not here; run: mingle pull nano")
@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_of_the_readme_runs(block: str):
    assert "Paris" in printed_by("-c", block)


@pytest.mark.skipif(not nano_is_here(), reason="nano's base is not here; run: mingle pull nano")
def test_the_chat_example_runs():
    lines = printed_by(str(ROOT / "examples" / "chat.py")).splitlines()
    assert lines[0] == "The capital of France is Paris. 8"
    assert len(lines) >= 3


def printed_by(*arguments: str) -> str:
    """What a fresh interpreter prints, as a user would run it."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_every_make_target_of_the_documents_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    documents = README + (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", documents, flags=re.MULTILINE))
    assert named <= targets, named - targets


def test_links_and_paths_of_the_documents_exist():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / link).exists(), f"{name} links to {link}"
